//! The document and the routes say the same, both ways.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api};

/// Every route, by hand: what clients are promised.
const ROUTES: [(&str, &[&str]); 76] = [
    ("/api/v1/audit", &["get"]),
    ("/api/v1/audit/export", &["get"]),
    ("/api/v1/batches", &["get", "post"]),
    ("/api/v1/batches/{id}", &["get", "patch"]),
    ("/api/v1/batches/{id}/cancel", &["post"]),
    ("/api/v1/batches/{id}/close", &["post"]),
    ("/api/v1/batches/{id}/events", &["get"]),
    ("/api/v1/batches/{id}/failures", &["get"]),
    ("/api/v1/batches/{id}/jobs", &["post"]),
    ("/api/v1/batches/{id}/logs/search", &["get"]),
    ("/api/v1/batches/{id}/pause", &["post"]),
    ("/api/v1/batches/{id}/results", &["get"]),
    ("/api/v1/batches/{id}/resume", &["post"]),
    ("/api/v1/batches/{id}/retry-failed", &["post"]),
    ("/api/v1/events", &["get"]),
    ("/api/v1/jobs", &["get"]),
    ("/api/v1/jobs/{id}", &["get"]),
    ("/api/v1/jobs/{id}/cancel", &["post"]),
    ("/api/v1/jobs/{id}/events", &["get"]),
    ("/api/v1/jobs/{id}/retry", &["post"]),
    ("/api/v1/keys", &["get", "post"]),
    ("/api/v1/keys/{id}", &["get", "delete"]),
    ("/api/v1/limits", &["get"]),
    ("/api/v1/pools", &["get"]),
    ("/api/v1/projects", &["get", "post"]),
    ("/api/v1/projects/import", &["post"]),
    ("/api/v1/projects/{id}", &["get", "patch", "delete"]),
    ("/api/v1/projects/{id}/archive", &["get"]),
    ("/api/v1/projects/{id}/files", &["get", "patch"]),
    ("/api/v1/projects/{id}/files/{path}", &["get", "put", "delete"]),
    ("/api/v1/projects/{id}/fork", &["post"]),
    ("/api/v1/projects/{id}/jobs", &["get", "post"]),
    ("/api/v1/projects/{id}/jobs/{job_id}/logs", &["get"]),
    ("/api/v1/projects/{id}/jobs/{job_id}/logs/search", &["get"]),
    ("/api/v1/projects/{id}/jobs/{job_id}/logs/stream", &["get"]),
    ("/api/v1/projects/{id}/versions", &["get"]),
    ("/api/v1/projects/{id}/versions/{a}/diff/{b}", &["get"]),
    ("/api/v1/projects/{id}/versions/{n}/restore", &["post"]),
    ("/api/v1/schedules", &["get", "post"]),
    ("/api/v1/release-session", &["post"]),
    ("/api/v1/request-session", &["post"]),
    ("/api/v1/schedules/{id}", &["get", "patch", "delete"]),
    ("/api/v1/sessions", &["get", "post"]),
    ("/api/v1/sessions/{id}", &["get", "delete"]),
    ("/api/v1/tenants", &["get", "post"]),
    ("/api/v1/tenants/{id}", &["get", "patch"]),
    ("/api/v1/usage", &["get"]),
    ("/api/v1/usage/tenants", &["get"]),
    ("/api/v1/users", &["get", "post"]),
    ("/api/v1/users/{id}", &["get", "patch"]),
    ("/api/v1/webhooks", &["get", "post"]),
    ("/api/v1/webhooks/{id}", &["get", "patch", "delete"]),
    ("/api/v1/webhooks/{id}/deliveries", &["get"]),
    ("/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", &["post"]),
    ("/api/v1/webhooks/{id}/rotate-secret", &["post"]),
    ("/api/v1/webhooks/{id}/test", &["post"]),
    ("/api/v1/whoami", &["get"]),
    ("/api/v1/workers", &["get"]),
    ("/api/v1/workers/{id}", &["get"]),
    ("/api/v1/workers/{id}/drain", &["post", "delete"]),
    ("/api/v1/workspaces/ws", &["get"]),
    ("/api/v1/workspaces/{id}", &["get"]),
    ("/api/v1/workspaces/{id}/ai-action", &["post"]),
    ("/api/v1/workspaces/{id}/tokens", &["get", "post"]),
    ("/api/v1/workspaces/{id}/tokens/{token}", &["delete"]),
    ("/api/v1/{project_id}/files", &["get"]),
    ("/api/v1/{project_id}/files/{path}", &["get"]),
    ("/api/v1/{project_id}/jobs", &["post"]),
    ("/docs", &["get"]),
    ("/livez", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/readyz", &["get"]),
    ("/release-session", &["post"]),
    ("/request-session", &["post"]),
    ("/version", &["get"]),
];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let api = Api::start().await;
    let document = api.get("//openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let told: BTreeSet<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path.as_str(), method.as_str())))
        .collect();
    let promised = ROUTES.iter().flat_map(|(path, methods)| methods.iter().map(move |method| (*path, *method)));
    assert_eq!(told, promised.collect::<BTreeSet<_>>());
    for (path, _) in ROUTES {
        let concrete = path.replace("{path}", "x").replace("{a}", "0").replace("{b}", "0").replace("{n}", "0");
        let concrete = ["{id}", "{project_id}", "{job_id}", "{delivery}", "{token}"]
            .iter()
            .fold(concrete, |path, name| path.replace(name, "x"));
        for method in METHODS {
            let request =
                api.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &format!("/{concrete}"));
            let answer = request.send().await.unwrap();
            let taken = answer.status() != 405;
            assert_eq!(taken, told.contains(&(path, method)), "{method} {path}: {}", answer.status());
            if taken && answer.status() == 404 {
                assert_ne!(Answer::body_of(answer).await["detail"], "Route not found", "{method} {path}");
            }
        }
    }
    for (path, method) in [("jobs", "post"), ("files", "get"), ("files/{path}", "get")] {
        assert_eq!(paths[&format!("/api/v1/{{project_id}}/{path}")][method]["deprecated"], true, "{path}");
    }
    let operations = paths.values().flat_map(|item| item.as_object().unwrap().values());
    let responses = operations.flat_map(|operation| operation["responses"].as_object().unwrap().values());
    assert!(responses.into_iter().all(|response| !response["description"].as_str().unwrap().is_empty()));
    let security = |path: &str, method: &str| paths[path][method]["security"].clone();
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    assert_eq!(security("/api/v1/projects", "post"), json!([{"key": ["projects:write", "jobs:write"]}]));
    assert_eq!((security("/api/v1/limits", "get"), security("/livez", "get")), (json!([{"key": []}]), json!([])));
    let dangling: Vec<String> =
        references(&document).into_iter().filter(|name| document.pointer(&name[1..]).is_none()).collect();
    assert_eq!(dangling, Vec::<String>::new(), "schemas that are not in the document");
}

fn references(value: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = Api::start().await;
    let page = api.get("//docs").await.expect(200);
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="), "{text}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for element in ["script", "style"] {
        let inner = text.split_once(&format!("<{element}>")).unwrap().1.split_once(&format!("</{element}>")).unwrap().0;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, inner.as_bytes());
        let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        assert!(policy.contains(&format!("{element}-src 'sha256-{hash}'")), "{element}: {policy}");
        assert_eq!(text.matches(&format!("<{element}")).count(), 1, "only one is allowed");
    }
    assert!(!text.contains(" style=") && !text.contains(" onclick="), "what is in an attribute does not count");
}
