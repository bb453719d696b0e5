//! What a page in the browser of somebody who reaches the API may not do.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    harness::{Answer, Api},
    workspaces::{Daemon, token},
};

const EVIL: &str = "https://evil.example";

/// Red when a page under a name of its own, or one that sends a form, may do what the person could.
#[tokio::test]
async fn while_there_is_no_key_no_page_is_taken_for_the_person() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let as_host =
        async |host: &str| Answer::of(api.request(Method::GET, "/projects").header("host", host)).await.status;
    for host in ["localhost:8080", "127.0.0.1", "[::1]:80"] {
        assert_eq!(as_host(host).await, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example"] {
        assert_eq!(as_host(host).await, 403, "{host}");
    }
    let cancel = format!("/jobs/{job}/cancel");
    let from = async |origin: &str| Answer::of(api.request(Method::POST, &cancel).header("origin", origin)).await;
    for origin in [EVIL, "null", "http://localhost:3000.evil.example"] {
        let refused = from(origin).await.expect(403);
        assert!(refused.text("detail").starts_with("Pages of this origin may not"), "{origin}");
    }
    from("http://localhost:3000").await.expect(200);
    // With a key it is for the key to say: no page has it.
    let key = api.post("/keys", &json!({"name": "first", "role": "admin"})).await.expect(201).text("key");
    let request = api.request(Method::POST, &cancel).bearer_auth(&key).header("host", "drydock.example");
    Answer::of(request.header("origin", EVIL)).await.expect(200);

    let open = Api::start_with(&["--insecure-open", "true"]).await;
    Answer::of(open.request(Method::GET, "/projects").header("host", "api.internal")).await.expect(200);
}

/// Browsers open sockets to anywhere: red when the server does not look where the page is from.
#[tokio::test]
async fn a_socket_opens_for_programs_and_allowed_origins() {
    let api = Api::start_with(&["--allow-origins", "https://dash.example"]).await;
    let (project, _) = api.project().await;
    let token = token(&api, &project).await;
    let open = async |origins: &[&'static str]| {
        let mut headers = vec![("x-workspace-id", project.as_str()), ("x-daemon-token", token.as_str())];
        headers.extend(origins.iter().map(|origin| ("origin", *origin)));
        Daemon::open(api.address, &headers).await.err()
    };
    for origins in [
        &[EVIL][..],
        &["null"],
        &["http://dash.example"],
        &["https://dash.example:8443"],
        &["https://dash.example.evil.example"],
        &["https://dash.example", EVIL],
    ] {
        assert_eq!(open(origins).await, Some(StatusCode::FORBIDDEN), "{origins:?}");
    }
    assert_eq!(open(&[]).await, None);
    assert_eq!(open(&["https://dash.example"]).await, None);
}
