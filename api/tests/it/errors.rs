//! Contract §3: one error body on every path, whoever found the fault.

use reqwest::Method;
use serde_json::json;

use crate::harness::Api;

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn every_failure_has_the_one_body() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    // Method, path, content type, body, status, error word, and what the detail begins with.
    let json_type = Some("application/json");
    let jobs = format!("/projects/{project}/jobs");
    let oversized = "x".repeat(1024 * 1024 + 1);
    let cases: &[(Method, &str, Option<&str>, &[u8], u16, &str, &str)] = &[
        (Method::GET, "/nothing", None, b"", 404, "not_found", "Route not found"),
        (Method::GET, "//nothing/at/all", None, b"", 404, "not_found", "Route not found"),
        (Method::GET, "//", None, b"", 404, "not_found", "Route not found"),
        (Method::POST, "/nothing", json_type, b"{}", 404, "not_found", "Route not found"),
        (Method::DELETE, "/projects", None, b"", 405, "method_not_allowed", "This path"),
        (Method::PUT, &jobs, json_type, b"{}", 405, "method_not_allowed", "This path"),
        (Method::PATCH, "/limits", None, b"", 405, "method_not_allowed", "This path"),
        (Method::POST, "//livez", None, b"", 405, "method_not_allowed", "This path"),
        (Method::OPTIONS, "/projects", None, b"", 405, "method_not_allowed", "This path"),
        (Method::POST, "/projects", None, b"{}", 415, "unsupported_media_type", "Content-Type"),
        (Method::POST, "/projects", Some("text/plain"), b"{}", 415, "unsupported_media_type", "Content-Type"),
        (Method::POST, &jobs, Some("application/x-www-form-urlencoded"), b"a=b", 415, "unsupported_media_type", "Content-Type"),
        (Method::POST, "/projects/import", Some("text/html"), b"", 422, "validation_error", ""),
        (Method::POST, "/projects/import?instruction=import", Some("text/html"), b"", 415, "unsupported_media_type", "Content-Type"),
        (Method::POST, "/projects", json_type, b"", 400, "bad_request", "Body is not valid JSON"),
        (Method::POST, "/projects", json_type, b"{", 400, "bad_request", "Body is not valid JSON"),
        (Method::POST, "/projects", json_type, b"{\"a\":1}x", 400, "bad_request", "Body is not valid JSON"),
        (Method::POST, "/projects", json_type, b"{\"instruction\":\"\xff\"}", 400, "bad_request", "Body is not valid UTF-8"),
        (Method::POST, "/projects", json_type, b"{\"instruction\":\"\\ud800\"}", 400, "bad_request", "Body is not valid JSON"),
        (Method::POST, &jobs, json_type, b"nonsense", 400, "bad_request", "Body is not valid JSON"),
        (Method::POST, &jobs, json_type, oversized.as_bytes(), 413, "payload_too_large", "Body should have at most 1048576 bytes"),
        (Method::POST, "/projects", json_type, b"[]", 422, "validation_error", ""),
        (Method::GET, "/projects/not-a-uuid", None, b"", 404, "not_found", "Project not found"),
        (Method::GET, "/projects/%ff", None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/jobs"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/files"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/files/a"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/versions"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/versions/0/diff/0"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, &format!("/projects/{NOBODY}/archive"), None, b"", 404, "not_found", "Project not found"),
        (Method::GET, "/jobs/12", None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/jobs/{NOBODY}"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/jobs/{NOBODY}?wait=5s"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/jobs/{NOBODY}/events"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/projects/{project}/jobs/x/logs"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/projects/{project}/jobs/{NOBODY}/logs"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/projects/{project}/jobs/{NOBODY}/logs/stream"), None, b"", 404, "not_found", "Job not found"),
        (Method::GET, &format!("/projects/{project}/files?version=9"), None, b"", 404, "not_found", "Version not found"),
        (Method::GET, &format!("/projects/{project}/files?attempt={NOBODY}"), None, b"", 404, "not_found", "Attempt not found"),
        (Method::GET, &format!("/projects/{project}/versions/0/diff/1"), None, b"", 404, "not_found", "Version not found"),
        (Method::GET, &format!("/projects/{project}/versions/-1/diff/x"), None, b"", 404, "not_found", "Version not found"),
    ];
    for (method, path, content_type, body, status, error, detail) in cases {
        let mut request = api.request(method.clone(), path).body(body.to_vec());
        if let Some(kind) = content_type {
            request = request.header("content-type", *kind);
        }
        let answer = crate::harness::Answer::of(request).await.expect(*status);
        let (word, said) = answer.error();
        assert_eq!(word, *error, "{method} {path}");
        assert!(said.as_str().unwrap_or_default().starts_with(detail), "{method} {path}: {said}");
        if *status == 405 {
            assert!(answer.header("allow").is_some(), "{method} {path}");
        }
    }
    let body = json!({"job_type": "edit", "instruction": "x"});
    for bad in ["x", NOBODY] {
        let answer = api.post(&format!("/projects/{bad}/jobs"), &body).await.expect(404);
        assert_eq!(answer.error().1, "Project not found");
    }
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made() {
    let api = Api::start().await;
    let answer = api.get_with("/nothing", &[("x-request-id", "mine-1")]).await.expect(404);
    assert_eq!(answer.text("correlation_id"), "mine-1");
    assert_eq!(api.get_with("/limits", &[("x-request-id", "mine-2")]).await.header("x-request-id"), Some("mine-2"));
    let made = api.get_with("/limits", &[("x-request-id", &"x".repeat(200))]).await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_trailing_slash_changes_nothing() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let paths = ["/projects", "/jobs", "/limits", "/workers", "//livez", "//openapi.json", &format!("/projects/{project}")];
    let more = [format!("/jobs/{job}"), format!("/projects/{project}/files"), format!("/{project}/files")];
    for path in paths.into_iter().chain(more.iter().map(String::as_str)) {
        assert_eq!(api.get(path).await.expect(200).body.is_empty(), api.get(&format!("{path}/")).await.expect(200).body.is_empty());
    }
    api.get("/jobs/?limit=1").await.expect(200);
    let body = json!({"job_type": "edit", "instruction": "x"});
    api.post(&format!("/projects/{project}/jobs/"), &body).await.expect(202);
}
