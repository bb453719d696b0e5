//! What requests that may change something are called in the audit log, on one page.

use axum::http::Method;

/// Method, path as the router has it, action.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("POST", "/api/v1/batches", "batch.create"),
    ("PATCH", "/api/v1/batches/{id}", "batch.change"),
    ("POST", "/api/v1/batches/{id}/cancel", "batch.cancel"),
    ("POST", "/api/v1/batches/{id}/close", "batch.close"),
    ("POST", "/api/v1/batches/{id}/jobs", "batch.submit"),
    ("POST", "/api/v1/batches/{id}/pause", "batch.pause"),
    ("POST", "/api/v1/batches/{id}/resume", "batch.resume"),
    ("POST", "/api/v1/batches/{id}/retry-failed", "batch.retry_failed"),
    ("POST", "/api/v1/jobs/{id}/cancel", "job.cancel"),
    ("POST", "/api/v1/jobs/{id}/retry", "job.retry"),
    ("POST", "/api/v1/projects", "project.create"),
    ("POST", "/api/v1/projects/import", "project.import"),
    ("PATCH", "/api/v1/projects/{id}", "project.change"),
    ("DELETE", "/api/v1/projects/{id}", "project.delete"),
    ("PATCH", "/api/v1/projects/{id}/files", "files.change"),
    ("PUT", "/api/v1/projects/{id}/files/{*path}", "file.write"),
    ("DELETE", "/api/v1/projects/{id}/files/{*path}", "file.delete"),
    ("POST", "/api/v1/projects/{id}/fork", "project.fork"),
    ("POST", "/api/v1/projects/{id}/jobs", "job.submit"),
    ("POST", "/api/v1/projects/{id}/versions/{n}/restore", "version.restore"),
    ("POST", "/api/v1/schedules", "schedule.create"),
    ("PATCH", "/api/v1/schedules/{id}", "schedule.change"),
    ("DELETE", "/api/v1/schedules/{id}", "schedule.delete"),
    ("POST", "/api/v1/sessions", "session.start"),
    ("DELETE", "/api/v1/sessions/{id}", "session.end"),
    ("POST", "/api/v1/webhooks", "webhook.create"),
    ("PATCH", "/api/v1/webhooks/{id}", "webhook.change"),
    ("DELETE", "/api/v1/webhooks/{id}", "webhook.delete"),
    ("POST", "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", "webhook.redeliver"),
    ("POST", "/api/v1/webhooks/{id}/rotate-secret", "webhook.rotate_secret"),
    ("POST", "/api/v1/webhooks/{id}/test", "webhook.test"),
    ("POST", "/api/v1/keys", "key.create"),
    ("DELETE", "/api/v1/keys/{id}", "key.revoke"),
    ("POST", "/api/v1/users", "user.create"),
    ("PATCH", "/api/v1/users/{id}", "user.change"),
    ("POST", "/api/v1/tenants", "tenant.create"),
    ("PATCH", "/api/v1/tenants/{id}", "tenant.change"),
    ("POST", "/api/v1/workers/{id}/drain", "worker.drain"),
    ("DELETE", "/api/v1/workers/{id}/drain", "worker.undrain"),
    ("POST", "/api/v1/workspaces/{id}/ai-action", "job.submit"),
    ("POST", "/api/v1/workspaces/{id}/tokens", "token.create"),
    ("DELETE", "/api/v1/workspaces/{id}/tokens/{token}", "token.revoke"),
    // Older paths.
    ("POST", "/api/v1/{project_id}/jobs", "job.submit"),
    ("POST", "/api/v1/request-session", "session.start"),
    ("POST", "/api/v1/release-session", "session.end"),
    ("POST", "/request-session", "session.start"),
    ("POST", "/release-session", "session.end"),
];
/// These write their record with the job itself: they come by the thousand, and cost no commit more.
const WITH_THE_CHANGE: [&str; 2] = ["job.submit", "job.retry"];

/// These do their work in parts: one that ends in a refusal may have done some.
const IN_PARTS: [&str; 2] = ["batch.submit", "batch.retry_failed"];

/// What a request is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) name: &'static str,
    /// The handler has it written with what it changes.
    pub(super) with_the_change: bool,
    /// It may have done something although it is refused.
    pub(super) in_parts: bool,
}

/// The action of a request; none where it only reads.
pub(super) fn of(method: &Method, path: &str) -> Option<Action> {
    let found = ACTIONS.iter().find(|(known, route, _)| *known == method.as_str() && *route == path);
    found.map(|(_, _, name)| Action {
        name,
        with_the_change: WITH_THE_CHANGE.contains(name),
        in_parts: IN_PARTS.contains(name),
    })
}

/// Whether requests with this method on the route `path` are recorded.
pub(crate) fn records(method: &Method, path: &str) -> bool {
    of(method, path).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::router;

    #[test]
    fn whatever_may_change_something_has_a_name() {
        let document = serde_json::to_value(router::routes().1).unwrap();
        let told = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        });
        let told: BTreeSet<_> = told.filter(|(method, _)| method != "GET").collect();
        let named = ACTIONS.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
        assert_eq!(named.collect::<BTreeSet<_>>(), told);
    }

    #[test]
    fn a_request_that_reads_has_none() {
        assert_eq!(of(&Method::GET, "/api/v1/keys"), None);
        assert_eq!(
            of(&Method::POST, "/api/v1/keys"),
            Some(Action { name: "key.create", with_the_change: false, in_parts: false })
        );
        assert!(of(&Method::POST, "/api/v1/projects/{id}/jobs").unwrap().with_the_change);
        assert!(of(&Method::POST, "/api/v1/batches/{id}/jobs").unwrap().in_parts);
    }
}
