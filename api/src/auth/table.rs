//! What each route needs, on one page. A route that is not here is refused, whatever the router has.

use axum::http::Method;
use drydock_domain::Scope::{
    self, AuditRead, FleetRead, FleetWrite, JobsRead, JobsWrite, KeysRead, KeysWrite, ProjectsRead, ProjectsWrite,
    TenantsRead, TenantsWrite, WebhooksRead, WebhooksWrite,
};

use self::Access::{Daemon, Needs, Public, Signed};

/// What a caller must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: it tells nothing of any tenant.
    Public,
    /// Some key, whatever it may.
    Signed,
    /// A key with all of these.
    Needs(&'static [Scope]),
    /// The token of the workspace that the request names.
    Daemon,
}

/// What the table says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    This(Access),
    /// The path is there with these methods alone.
    OtherMethods(Vec<&'static str>),
    Missing,
}

const READ_PROJECTS: Access = Needs(&[ProjectsRead]);
const WRITE_PROJECTS: Access = Needs(&[ProjectsWrite]);
const READ_JOBS: Access = Needs(&[JobsRead]);
const WRITE_JOBS: Access = Needs(&[JobsWrite]);
const READ_KEYS: Access = Needs(&[KeysRead]);
const WRITE_KEYS: Access = Needs(&[KeysWrite]);
const READ_WEBHOOKS: Access = Needs(&[WebhooksRead]);
const WRITE_WEBHOOKS: Access = Needs(&[WebhooksWrite]);

/// Method, path as the router has it, need. HEAD is as GET.
const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/api/v1/audit", Needs(&[AuditRead])),
    ("GET", "/api/v1/audit/export", Needs(&[AuditRead])),
    ("GET", "/api/v1/batches", READ_JOBS),
    ("POST", "/api/v1/batches", WRITE_JOBS),
    ("GET", "/api/v1/batches/{id}", READ_JOBS),
    ("PATCH", "/api/v1/batches/{id}", WRITE_JOBS),
    ("POST", "/api/v1/batches/{id}/cancel", WRITE_JOBS),
    ("POST", "/api/v1/batches/{id}/close", WRITE_JOBS),
    ("GET", "/api/v1/batches/{id}/events", READ_JOBS),
    ("GET", "/api/v1/batches/{id}/failures", READ_JOBS),
    ("GET", "/api/v1/batches/{id}/logs/search", READ_JOBS),
    // Its lines may fork projects.
    ("POST", "/api/v1/batches/{id}/jobs", Needs(&[ProjectsWrite, JobsWrite])),
    ("POST", "/api/v1/batches/{id}/pause", WRITE_JOBS),
    ("GET", "/api/v1/batches/{id}/results", READ_JOBS),
    ("POST", "/api/v1/batches/{id}/resume", WRITE_JOBS),
    ("POST", "/api/v1/batches/{id}/retry-failed", WRITE_JOBS),
    ("GET", "/api/v1/events", READ_JOBS),
    ("GET", "/api/v1/jobs", READ_JOBS),
    ("GET", "/api/v1/jobs/{id}", READ_JOBS),
    ("POST", "/api/v1/jobs/{id}/cancel", WRITE_JOBS),
    ("GET", "/api/v1/jobs/{id}/events", READ_JOBS),
    ("POST", "/api/v1/jobs/{id}/retry", WRITE_JOBS),
    ("GET", "/api/v1/limits", Signed),
    ("GET", "/api/v1/projects", READ_PROJECTS),
    // Its first job comes with it.
    ("POST", "/api/v1/projects", Needs(&[ProjectsWrite, JobsWrite])),
    ("POST", "/api/v1/projects/import", WRITE_PROJECTS),
    ("GET", "/api/v1/projects/{id}", READ_PROJECTS),
    ("PATCH", "/api/v1/projects/{id}", WRITE_PROJECTS),
    ("DELETE", "/api/v1/projects/{id}", WRITE_PROJECTS),
    ("GET", "/api/v1/projects/{id}/archive", READ_PROJECTS),
    ("GET", "/api/v1/projects/{id}/files", READ_PROJECTS),
    ("PATCH", "/api/v1/projects/{id}/files", WRITE_PROJECTS),
    ("GET", "/api/v1/projects/{id}/files/{*path}", READ_PROJECTS),
    ("PUT", "/api/v1/projects/{id}/files/{*path}", WRITE_PROJECTS),
    ("DELETE", "/api/v1/projects/{id}/files/{*path}", WRITE_PROJECTS),
    ("POST", "/api/v1/projects/{id}/fork", WRITE_PROJECTS),
    ("GET", "/api/v1/projects/{id}/jobs", READ_JOBS),
    ("POST", "/api/v1/projects/{id}/jobs", WRITE_JOBS),
    ("GET", "/api/v1/projects/{id}/jobs/{job_id}/logs", READ_JOBS),
    ("GET", "/api/v1/projects/{id}/jobs/{job_id}/logs/search", READ_JOBS),
    ("GET", "/api/v1/projects/{id}/jobs/{job_id}/logs/stream", READ_JOBS),
    ("GET", "/api/v1/projects/{id}/versions", READ_PROJECTS),
    ("GET", "/api/v1/projects/{id}/versions/{a}/diff/{b}", READ_PROJECTS),
    ("POST", "/api/v1/projects/{id}/versions/{n}/restore", WRITE_PROJECTS),
    ("GET", "/api/v1/schedules", READ_JOBS),
    ("POST", "/api/v1/schedules", WRITE_JOBS),
    ("GET", "/api/v1/schedules/{id}", READ_JOBS),
    ("PATCH", "/api/v1/schedules/{id}", WRITE_JOBS),
    ("DELETE", "/api/v1/schedules/{id}", WRITE_JOBS),
    ("GET", "/api/v1/sessions", READ_JOBS),
    ("POST", "/api/v1/sessions", WRITE_JOBS),
    ("GET", "/api/v1/sessions/{id}", READ_JOBS),
    ("DELETE", "/api/v1/sessions/{id}", WRITE_JOBS),
    ("GET", "/api/v1/webhooks", READ_WEBHOOKS),
    ("POST", "/api/v1/webhooks", WRITE_WEBHOOKS),
    ("GET", "/api/v1/webhooks/{id}", READ_WEBHOOKS),
    ("PATCH", "/api/v1/webhooks/{id}", WRITE_WEBHOOKS),
    ("DELETE", "/api/v1/webhooks/{id}", WRITE_WEBHOOKS),
    ("GET", "/api/v1/webhooks/{id}/deliveries", READ_WEBHOOKS),
    ("POST", "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", WRITE_WEBHOOKS),
    ("POST", "/api/v1/webhooks/{id}/rotate-secret", WRITE_WEBHOOKS),
    ("POST", "/api/v1/webhooks/{id}/test", WRITE_WEBHOOKS),
    ("GET", "/api/v1/usage", READ_JOBS),
    ("GET", "/api/v1/usage/tenants", Needs(&[TenantsRead])),
    ("GET", "/api/v1/pools", Needs(&[FleetRead])),
    ("GET", "/api/v1/workers", Needs(&[FleetRead])),
    ("GET", "/api/v1/workers/{id}", Needs(&[FleetRead])),
    ("POST", "/api/v1/workers/{id}/drain", Needs(&[FleetWrite])),
    ("DELETE", "/api/v1/workers/{id}/drain", Needs(&[FleetWrite])),
    ("GET", "/api/v1/whoami", Signed),
    ("GET", "/api/v1/keys", READ_KEYS),
    ("POST", "/api/v1/keys", WRITE_KEYS),
    ("GET", "/api/v1/keys/{id}", READ_KEYS),
    ("DELETE", "/api/v1/keys/{id}", WRITE_KEYS),
    ("GET", "/api/v1/users", READ_KEYS),
    ("POST", "/api/v1/users", WRITE_KEYS),
    ("GET", "/api/v1/users/{id}", READ_KEYS),
    ("PATCH", "/api/v1/users/{id}", WRITE_KEYS),
    ("GET", "/api/v1/tenants", Needs(&[TenantsRead])),
    ("POST", "/api/v1/tenants", Needs(&[TenantsWrite])),
    ("GET", "/api/v1/tenants/{id}", Needs(&[TenantsRead])),
    ("PATCH", "/api/v1/tenants/{id}", Needs(&[TenantsWrite])),
    ("GET", "/api/v1/workspaces/ws", Daemon),
    ("GET", "/api/v1/workspaces/{id}", READ_PROJECTS),
    ("POST", "/api/v1/workspaces/{id}/ai-action", WRITE_JOBS),
    ("GET", "/api/v1/workspaces/{id}/tokens", READ_PROJECTS),
    // Whoever may write the project's files and jobs may let a daemon do so.
    ("POST", "/api/v1/workspaces/{id}/tokens", Needs(&[ProjectsWrite, JobsWrite])),
    ("DELETE", "/api/v1/workspaces/{id}/tokens/{token}", Needs(&[ProjectsWrite, JobsWrite])),
    // Older paths.
    ("POST", "/api/v1/{project_id}/jobs", WRITE_JOBS),
    ("GET", "/api/v1/{project_id}/files", READ_PROJECTS),
    ("GET", "/api/v1/{project_id}/files/{*path}", READ_PROJECTS),
    ("POST", "/api/v1/request-session", WRITE_JOBS),
    ("POST", "/api/v1/release-session", WRITE_JOBS),
    ("POST", "/request-session", WRITE_JOBS),
    ("POST", "/release-session", WRITE_JOBS),
    // Operations.
    ("GET", "/docs", Public),
    ("GET", "/livez", Public),
    ("GET", "/metrics", Public),
    ("GET", "/openapi.json", Public),
    ("GET", "/readyz", Public),
    ("GET", "/version", Public),
];

/// What a daemon's token is good for beside its socket: the files of its project, as the path names it.
const OF_A_DAEMON: &[(&str, &str)] = &[
    ("GET", "/api/v1/projects/{id}"),
    ("GET", "/api/v1/projects/{id}/archive"),
    ("GET", "/api/v1/projects/{id}/files"),
    ("PATCH", "/api/v1/projects/{id}/files"),
    ("GET", "/api/v1/projects/{id}/files/{*path}"),
    ("GET", "/api/v1/projects/{id}/versions"),
];

/// Whether a daemon may send such a request, if it is of its project.
pub(super) fn is_a_daemons(method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    OF_A_DAEMON.contains(&(method, path))
}

/// What the request with this method on the route `path` needs.
pub(super) fn rule(method: &Method, path: &str) -> Rule {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut others = Vec::new();
    for (known, _, access) in TABLE.iter().filter(|(_, route, _)| *route == path) {
        if *known == method {
            return Rule::This(*access);
        }
        others.push(*known);
    }
    if others.contains(&"GET") {
        others.push("HEAD");
    }
    if others.is_empty() { Rule::Missing } else { Rule::OtherMethods(others) }
}

/// The scopes that a route asks for; none where it asks for no key.
pub(crate) fn needed(method: &Method, path: &str) -> Option<&'static [Scope]> {
    match rule(method, path) {
        Rule::This(Needs(scopes)) => Some(scopes),
        Rule::This(Public) => None,
        Rule::This(Signed | Daemon) | Rule::OtherMethods(_) | Rule::Missing => Some(&[]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::router;

    #[test]
    fn the_table_and_the_document_have_the_same_routes() {
        let document = serde_json::to_value(router::routes().1).unwrap();
        let told = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        });
        let ruled = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
        assert_eq!(ruled.clone().collect::<BTreeSet<_>>(), told.collect());
        assert_eq!(ruled.count(), TABLE.iter().map(|(method, path, _)| (method, path)).collect::<BTreeSet<_>>().len());
    }

    #[test]
    fn whatever_writes_asks_for_a_right_to_write() {
        for (method, path, access) in TABLE {
            let writes = match access {
                Needs(scopes) => scopes.iter().all(|scope| scope.as_str().ends_with(":write")),
                Public | Signed | Daemon => false,
            };
            assert_eq!(writes, *method != "GET", "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        assert_eq!(rule(&Method::GET, "/api/v1/limits"), Rule::This(Signed));
        assert_eq!(rule(&Method::HEAD, "/api/v1/limits"), Rule::This(Signed));
        assert_eq!(rule(&Method::DELETE, "/api/v1/keys"), Rule::OtherMethods(vec!["GET", "POST", "HEAD"]));
        assert_eq!(rule(&Method::GET, "/api/v1/limits/more"), Rule::Missing);
    }
}
