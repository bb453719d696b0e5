//! Bodies that stop in the middle.

use tokio::io::AsyncWriteExt as _;

use super::{from, rest};
use crate::harness::Api;

/// Red when a body is waited for for ever: nothing would come back.
#[tokio::test]
async fn a_body_that_stops_is_a_408() {
    let api = Api::start_with(&["--body-timeout", "300ms"]).await;
    let (project, _) = api.project().await;
    let batch = api.post("/batches", &serde_json::json!({"name": "many"})).await.expect(201).text("id");
    let cases = [
        ("POST /api/v1/projects".to_owned(), "application/json", "{\"instruction\":", "Body "),
        (format!("PUT /api/v1/projects/{project}/files/a.txt"), "text/plain", "abc", ""),
        (format!("POST /api/v1/batches/{batch}/jobs"), "application/x-ndjson", "{\"project", "Body broke off"),
        ("POST /api/v1/projects/import?instruction=import".to_owned(), "application/x-tar", "abc", ""),
    ];
    for (line, kind, part, detail) in cases {
        let mut stream = from([127, 0, 0, 1], &api).await;
        let head =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{part}");
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = rest(&mut stream).await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}: no head in '{said}'"));
        assert!(head.starts_with("HTTP/1.1 408 "), "{line}: {said}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["error"], &body["code"]), (&"request_timeout".into(), &408.into()), "{line}");
        assert!(body["detail"].as_str().unwrap_or_default().starts_with(detail), "{line}: {body}");
    }
    // A drop every now and then is not enough for JSON.
    let mut stream = from([127, 0, 0, 1], &api).await;
    let head = "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, dripping).await.expect("the server ends it");
}
