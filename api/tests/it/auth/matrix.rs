//! Every route of the document, asked by everybody who must not have what is behind it.

use std::collections::BTreeMap;

use drydock_database::{
    job::Accepted,
    session::{self, NewSession},
};
use drydock_domain::TenantId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Made, told};
use crate::harness::{Answer, Api, Content, Worker};

const PUBLIC: [&str; 6] = ["/docs", "/livez", "/metrics", "/openapi.json", "/readyz", "/version"];
/// What belongs to no tenant but to the fleet: another tenant's owner may not, whatever the id.
const FLEET: [&str; 7] = [
    "/api/v1/pools",
    "/api/v1/tenants",
    "/api/v1/tenants/{id}",
    "/api/v1/usage/tenants",
    "/api/v1/workers",
    "/api/v1/workers/{id}",
    "/api/v1/workers/{id}/drain",
];
const UNKNOWN: &str = "dd_0011223344556677_00000000000000000000000000000000000000000000000000000000000000aa";

/// A route with the ids of the first tenant in its path.
struct Route {
    method: Method,
    pattern: String,
    path: String,
    body: Value,
}

impl Route {
    fn writes(&self) -> bool {
        self.method != Method::GET
    }

    fn names_something(&self) -> bool {
        self.pattern.contains('{')
    }

    async fn ask(&self, api: &Api, key: Option<&str>) -> Answer {
        let request = api.request(self.method.clone(), &format!("/{}", self.path));
        let request = if self.body.is_null() { request } else { request.json(&self.body) };
        Answer::of(key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)).await
    }

    /// Status alone: some answers never end.
    async fn status(&self, api: &Api, key: &str) -> u16 {
        let request = api.request(self.method.clone(), &format!("/{}", self.path)).bearer_auth(key);
        let request = if self.body.is_null() { request } else { request.json(&self.body) };
        request.send().await.unwrap().status().as_u16()
    }
}

/// What the first tenant has.
struct Things {
    project: String,
    job: String,
    schedule: String,
    batch: String,
    webhook: String,
    delivery: String,
    key: String,
    user: String,
    tenant: String,
    worker: String,
    session: String,
    token: String,
}

async fn things(api: &Api, admin: &Made) -> Things {
    let project = json!({"instruction": "build a thing"});
    let made = api.post_as(&admin.key, "/projects", &project).await.expect(201);
    let (project, job) = (made.text("id"), made.text("job_id"));
    let worker = Worker::start(api, &["dummy"]).await;
    worker.publish(&job, &[("README.md", Content::File(b"hello"))]).await;
    let schedule = json!({"name": "n", "project_id": project, "cron": "@daily",
                          "job": {"job_type": "edit", "instruction": "tidy"}});
    let schedule = api.post_as(&admin.key, "/schedules", &schedule).await.expect(201).text("id");
    let batch = api.post_as(&admin.key, "/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let webhook = json!({"name": "n", "url": "https://1.1.1.1/hook"});
    let webhook = api.post_as(&admin.key, "/webhooks", &webhook).await.expect(201).text("id");
    let test = api.post_as(&admin.key, &format!("/webhooks/{webhook}/test"), &json!({})).await.expect(202);
    let delivery = test.text("id");
    let body = json!({"job_type": "edit", "instruction": "change it"});
    let job = api.post_as(&admin.key, &format!("/projects/{project}/jobs"), &body).await.expect(202).text("id");
    let user = json!({"name": "Eve", "email": "eve@example.org", "role": "member"});
    let user = api.post_as(&admin.key, "/users", &user).await.expect(201).text("id");
    let tenant =
        api.get_as(&admin.key, "/whoami").await.expect(200).json()["tenant"]["id"].as_str().unwrap().to_owned();
    let session = NewSession {
        project: project.parse().unwrap(),
        server: "preview".to_owned(),
        read_only: false,
        idle_timeout_s: None,
        queue_timeout_s: 600,
        patience: std::time::Duration::from_secs(60),
        idempotency: None,
    };
    let client = api.database.client().await.unwrap();
    let session = match session::start(&client, TenantId::DEFAULT, &session).await.unwrap() {
        Accepted::New(id) => id.to_string(),
        other => panic!("{other:?}"),
    };
    let tokens = format!("/workspaces/{project}/tokens");
    let token = api.post_as(&admin.key, &tokens, &json!({"name": "n"})).await.expect(201).text("id");
    let (worker, key) = (worker.id().to_string(), admin.id.clone());
    Things { project, job, schedule, batch, webhook, delivery, key, user, tenant, worker, session, token }
}

/// Every guarded route of the document. One whose parameters or body are not known here fails: it is to be thought of.
async fn routes(api: &Api, things: &Things) -> Vec<Route> {
    let document = api.get("//openapi.json").await.expect(200).json();
    let mut routes = Vec::new();
    for (pattern, item) in document["paths"].as_object().unwrap() {
        // Keys do not open a daemon's socket: `workspaces` has who may.
        if PUBLIC.contains(&pattern.as_str()) || pattern == "/api/v1/workspaces/ws" {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = concrete(pattern, things);
            let body = body(&method, pattern, things);
            routes.push(Route { method, pattern: pattern.clone(), path, body });
        }
    }
    routes
}

fn concrete(pattern: &str, things: &Things) -> String {
    let id = match pattern.split('/').nth(3).unwrap_or_default() {
        "projects" => &things.project,
        "jobs" => &things.job,
        "schedules" => &things.schedule,
        "batches" => &things.batch,
        "keys" => &things.key,
        "users" => &things.user,
        "tenants" => &things.tenant,
        "webhooks" => &things.webhook,
        "workers" => &things.worker,
        "sessions" => &things.session,
        "workspaces" => &things.project,
        _ => "",
    };
    let values = [
        ("{id}", id),
        ("{project_id}", &things.project),
        ("{job_id}", &things.job),
        ("{delivery}", &things.delivery),
        ("{token}", &things.token),
        ("{path}", "README.md"),
        ("{a}", "0"),
        ("{b}", "1"),
        ("{n}", "1"),
    ];
    let path = values.iter().fold(pattern.to_owned(), |path, (name, value)| path.replace(name, value));
    let path = if pattern.ends_with("/logs/search") { path + "?q=x" } else { path };
    assert!(!path.contains(['{', '}']) && !path.contains("//"), "{pattern}: what is its id?");
    path
}

/// A body that passes, so that a refusal is about who asks.
fn body(method: &Method, pattern: &str, things: &Things) -> Value {
    if *method == Method::GET || *method == Method::DELETE {
        return Value::Null;
    }
    let job = json!({"job_type": "edit", "instruction": "do it"});
    let bodies: BTreeMap<&str, Value> = [
        ("/api/v1/projects", json!({"instruction": "another thing"})),
        ("/api/v1/projects/import", Value::Null),
        ("/api/v1/projects/{id}", json!({"instruction": "changed by a stranger"})),
        ("/api/v1/projects/{id}/files", Value::Null),
        ("/api/v1/projects/{id}/files/{path}", json!("written by a stranger")),
        ("/api/v1/projects/{id}/fork", json!({"instruction": "a copy of it"})),
        ("/api/v1/projects/{id}/jobs", job.clone()),
        ("/api/v1/{project_id}/jobs", job.clone()),
        ("/api/v1/projects/{id}/versions/{n}/restore", json!({})),
        ("/api/v1/jobs/{id}/cancel", json!({})),
        ("/api/v1/jobs/{id}/retry", json!({})),
        ("/api/v1/batches", json!({"name": "mine"})),
        ("/api/v1/batches/{id}", json!({"name": "a stranger's"})),
        ("/api/v1/batches/{id}/cancel", json!({})),
        ("/api/v1/batches/{id}/close", json!({})),
        ("/api/v1/batches/{id}/jobs", json!({"project_id": things.project, "job_type": "edit", "instruction": "x"})),
        ("/api/v1/batches/{id}/pause", json!({})),
        ("/api/v1/batches/{id}/resume", json!({})),
        ("/api/v1/batches/{id}/retry-failed", json!({})),
        ("/api/v1/schedules", json!({"name": "n", "project_id": things.project, "cron": "@daily", "job": job})),
        ("/api/v1/schedules/{id}", json!({"paused": true})),
        ("/api/v1/webhooks", json!({"name": "mine", "url": "https://1.1.1.1/"})),
        ("/api/v1/webhooks/{id}", json!({"paused": true})),
        ("/api/v1/webhooks/{id}/rotate-secret", json!({})),
        ("/api/v1/webhooks/{id}/test", json!({})),
        ("/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", json!({})),
        ("/api/v1/keys", json!({"name": "mine", "role": "viewer"})),
        ("/api/v1/users", json!({"name": "Ada", "email": "ada@example.org", "role": "viewer"})),
        ("/api/v1/users/{id}", json!({"name": "a stranger's"})),
        ("/api/v1/tenants", json!({"name": "third"})),
        ("/api/v1/tenants/{id}", json!({"name": "taken"})),
        ("/api/v1/workers/{id}/drain", Value::Null),
        ("/api/v1/sessions", json!({"project_id": things.project, "server": "preview"})),
        ("/api/v1/workspaces/{id}/ai-action", json!({"action": "tidy"})),
        ("/api/v1/workspaces/{id}/tokens", json!({"name": "another"})),
        ("/api/v1/request-session", json!({"project_id": things.project})),
        ("/api/v1/release-session", json!({"session_id": things.session})),
        ("/request-session", json!({"project_id": things.project})),
        ("/release-session", json!({"session_id": things.session})),
    ]
    .into();
    bodies.get(pattern).unwrap_or_else(|| panic!("{method} {pattern}: what is a body of it?")).clone()
}

#[tokio::test]
async fn without_a_key_nothing_is_told() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let things = things(&api, &admin).await;
    for route in routes(&api, &things).await {
        let asked = format!("{} {}", route.method, route.pattern);
        let answer = route.ask(&api, None).await;
        assert_eq!(answer.status, 401, "{asked}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{asked}");
        assert_eq!(told(&answer), ("unauthorized".into(), "Missing API key: send Authorization: Bearer dd_…".into()));
        let answer = route.ask(&api, Some(UNKNOWN)).await;
        assert_eq!((answer.status, answer.text("detail")), (401, "Unknown API key".to_owned()), "{asked}");
    }
    for path in PUBLIC {
        api.get(&format!("/{path}")).await.expect(200);
    }
    assert_eq!(api.get("/nothing").await.expect(404).text("detail"), "Route not found");
    let head = api.request(Method::HEAD, "/projects").send().await.unwrap();
    assert_eq!(head.status(), 401);
    let page = |method| api.request(method, "/projects").header("origin", "http://localhost:3000");
    let asks = page(Method::OPTIONS).header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(asks.status(), 200, "a browser asks without a key whether it may send one");
    let refused = Answer::of(page(Method::GET)).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://localhost:3000"), "and may read why not");
}

#[tokio::test]
async fn a_viewer_reads_its_tenant_and_writes_nothing() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let things = things(&api, &admin).await;
    let viewer = api.key_of_role(&admin.key, "viewer").await;
    for route in routes(&api, &things).await {
        let asked = format!("{} {}", route.method, route.pattern);
        if !route.writes() && !FLEET.contains(&route.pattern.as_str()) {
            let status = route.status(&api, &viewer).await;
            assert_eq!(status, 200, "{asked}");
            continue;
        }
        let answer = route.ask(&api, Some(&viewer)).await;
        assert_eq!((answer.status, answer.text("error")), (403, "forbidden".to_owned()), "{asked}");
        let right = if route.writes() { ":write" } else { ":read" };
        let detail = answer.text("detail");
        assert!(detail.contains(right) && detail.contains("role 'viewer' does not have"), "{asked}: {detail}");
    }
}

#[tokio::test]
async fn what_is_another_tenants_is_not_there() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let things = things(&api, &admin).await;
    let stranger = api.tenant(&admin.key, "second").await;
    let paths = [
        "/projects/P",
        "/jobs/J",
        "/schedules/S",
        "/batches/B",
        "/keys/K",
        "/users/U",
        "/tenants/T",
        "/webhooks/W",
        "/webhooks/W/deliveries",
        "/projects/P/versions",
        "/projects/P/files",
        "/sessions/N",
    ];
    let paths = paths.map(|path| {
        let path = path.replace('P', &things.project).replace('J', &things.job);
        let path = path.replace('B', &things.batch).replace('S', &things.schedule).replace('K', &things.key);
        let path = path.replace('N', &things.session);
        path.replace('U', &things.user).replace('T', &things.tenant).replace('W', &things.webhook)
    });
    let standing = async || {
        let mut seen = Vec::new();
        for path in &paths {
            let mut view = api.get_as(&admin.key, path).await.expect(200).json();
            view.as_object_mut().unwrap().remove("last_used_at");
            // Why it waits tells of the moment.
            view.as_object_mut().unwrap().remove("waiting");
            seen.push(view);
        }
        seen
    };
    let before = standing().await;
    for route in routes(&api, &things).await {
        let asked = format!("{} {}", route.method, route.pattern);
        if FLEET.contains(&route.pattern.as_str()) {
            assert_eq!(route.ask(&api, Some(&stranger.key)).await.status, 403, "{asked}");
        } else if route.names_something() {
            let answer = route.ask(&api, Some(&stranger.key)).await;
            assert_eq!((answer.status, answer.text("error")), (404, "not_found".to_owned()), "{asked}");
            assert_ne!(answer.text("detail"), "Route not found", "{asked}");
        }
    }
    assert_eq!(standing().await, before, "nothing of the first tenant has changed");
}

#[tokio::test]
async fn lists_and_references_end_at_the_tenant() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let things = things(&api, &admin).await;
    let user = json!({"name": "Ada", "email": "ada@example.org", "role": "member"});
    let user = api.post_as(&admin.key, "/users", &user).await.expect(201).text("id");
    let stranger = api.tenant(&admin.key, "second").await;
    for (list, own) in [
        ("projects", 0),
        ("jobs", 0),
        ("schedules", 0),
        ("batches", 0),
        ("webhooks", 0),
        ("users", 0),
        ("sessions", 0),
        ("keys", 1),
    ] {
        let items = async |key: &str| api.get_as(key, &format!("/{list}")).await.expect(200).json();
        let (mine, theirs) = (items(&stranger.key).await, items(&admin.key).await);
        assert_eq!(mine["items"].as_array().unwrap().len(), own, "{list}: {mine}");
        assert!(!theirs["items"].as_array().unwrap().is_empty(), "{list}");
    }
    let refused = async |path: &str, body: Value, fault: &str| {
        let answer = api.post_as(&stranger.key, path, &body).await.expect(422);
        assert_eq!(answer.faults(), [fault], "{path}");
    };
    let job = json!({"job_type": "edit", "instruction": "tidy"});
    let schedule = json!({"name": "n", "project_id": things.project, "cron": "@daily", "job": job});
    refused("/schedules", schedule, "project_id: value_error").await;
    let session = json!({"project_id": things.project, "server": "preview"});
    let answer = api.post_as(&stranger.key, "/sessions", &session).await.expect(404);
    assert_eq!(answer.text("detail"), "Project not found");
    let release = json!({"session_id": things.session});
    let answer = api.post_as(&stranger.key, "/release-session", &release).await.expect(404);
    assert_eq!(answer.text("detail"), "Invalid or missing 'session_id'");
    let webhook = json!({"name": "n", "url": "https://1.1.1.1/", "project_id": things.project});
    refused("/webhooks", webhook, "project_id: value_error").await;
    let key = json!({"name": "k", "role": "viewer", "user_id": user});
    refused("/keys", key, "user_id: value_error").await;
    let own = api.post_as(&stranger.key, "/projects", &json!({"instruction": "my own thing"})).await.expect(201);
    let waits = json!({"job_type": "edit", "instruction": "tidy", "depends_on": [things.job]});
    let batch = api.post_as(&stranger.key, "/batches", &json!({"name": "mine"})).await.expect(201).text("id");
    let lines = format!("/batches/{batch}/jobs");
    for place in ["project_id", "fork_of"] {
        let line = json!({place: things.project, "job_type": "edit", "instruction": "tidy"});
        let told = api.post_as(&stranger.key, &lines, &line).await.expect(200).json();
        assert_eq!((&told["accepted"], &told["refused"]), (&json!(0), &json!(1)), "{told}");
    }
    refused(&format!("/projects/{}/jobs", own.text("id")), waits, "depends_on.0: value_error").await;
}
