//! Files: listed, read raw, in part and as JSON, by version and by attempt; and every rule of contract §4.

use drydock_database::report::Report;
use drydock_domain::{Digest, Outcome};
use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker};

const APP: &[u8] = b"print('hello')\n";
const FILES: [(&str, Content<'static>); 9] = [
    ("README.md", Content::File(b"# Read me\n")),
    ("app.py", Content::File(APP)),
    ("run.sh", Content::Script(b"#!/bin/sh\n")),
    ("src/deep/x.bin", Content::File(&[0, 1, 255, 254])),
    (".hidden", Content::File(b"h")),
    ("inside", Content::Link("src/deep/x.bin")),
    ("outside", Content::Link("../../etc/passwd")),
    ("root", Content::Link("/etc/passwd")),
    ("empty", Content::File(b"")),
];

fn exchange() -> Report {
    let result = json!({"status": "completed", "summary": "ok"});
    Report { request: Some(json!({"attempt": 1})), result: Some(result), ..Report::default() }
}

/// A project whose version 1 has [`FILES`].
async fn project(api: &Api) -> (String, String) {
    let worker = Worker::start(api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    worker.finish(&job, attempt, Outcome::Succeeded, &exchange(), Some(&FILES)).await;
    (project, job)
}

fn paths(list: &Answer) -> Vec<String> {
    list.json()["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_listing_has_every_file_and_no_link_that_escapes() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/files");
    let list = api.get(&path).await.expect(200);
    let expected = [
        ".codex/request.json", ".codex/result.json", ".hidden", "README.md", "app.py", "empty", "inside", "run.sh", "src/deep/x.bin",
    ];
    assert_eq!(paths(&list), expected);
    assert_eq!(list.json()["version"], 1);
    let app = &list.json()["files"][4];
    let hash = Digest::of(APP).to_string();
    assert_eq!(app, &json!({"path": "app.py", "kind": "file", "size": APP.len(), "mode": "0644", "blake3": hash}));
    let link = &list.json()["files"][6];
    assert_eq!((&link["kind"], &link["link_target"], &link["blake3"]), (&json!("symlink"), &json!("src/deep/x.bin"), &json!(null)));
    assert_eq!(list.json()["files"][7]["mode"], "0755");
    let mut seen = Vec::new();
    let mut page = api.get(&format!("{path}?limit=2")).await;
    loop {
        seen.extend(paths(&page));
        let Some(cursor) = page.json().get("next_cursor").map(|cursor| cursor.as_str().unwrap().to_owned()) else { break };
        page = api.get(&format!("{path}?limit=2&cursor={cursor}")).await.expect(200);
    }
    assert_eq!(seen, expected);
    assert_eq!(paths(&api.get(&format!("/{project}/files")).await.expect(200)), expected, "the older path");
    assert_eq!(paths(&api.get(&format!("{path}?version=0")).await), [".codex/request.json", ".codex/result.json"]);
    let bad = api.get(&format!("{path}?version=x&limit=0&cursor=!&attempt=1&y=")).await.expect(422);
    let expected = ["version: int_parsing", "attempt: uuid_parsing", "limit: greater_than_equal", "cursor: value_error", "y: extra_forbidden"];
    assert_eq!(bad.faults(), expected);
}

#[tokio::test]
async fn a_file_is_read_raw_in_part_and_as_json() {
    let api = Api::start().await;
    let (project, job) = project(&api).await;
    let path = format!("/projects/{project}/files/app.py");
    let raw = api.get(&path).await.expect(200);
    let etag = format!("\"{}\"", Digest::of(APP));
    assert_eq!(raw.body, APP);
    assert_eq!((raw.header("etag"), raw.header("content-type")), (Some(etag.as_str()), Some("application/octet-stream")));
    assert_eq!((raw.header("accept-ranges"), raw.header("x-content-type-options")), (Some("bytes"), Some("nosniff")));
    assert_eq!(api.get_with(&path, &[("if-none-match", &etag)]).await.expect(304).body, b"");
    assert_eq!(api.get_with(&path, &[("if-none-match", "\"x\", W/\"y\"")]).await.expect(200).body, APP);
    let part = api.get_with(&path, &[("range", "bytes=1-4")]).await.expect(206);
    assert_eq!((part.body.as_slice(), part.header("content-range")), (&APP[1..5], Some("bytes 1-4/15")));
    let stale = api.get_with(&path, &[("range", "bytes=1-4"), ("if-range", "\"x\"")]).await.expect(200);
    assert_eq!(stale.body, APP);
    let beyond = api.get_with(&path, &[("range", "bytes=15-")]).await.expect(416);
    assert_eq!(beyond.header("content-range"), Some("bytes */15"));
    let head = Answer::of(api.request(reqwest::Method::HEAD, &path)).await.expect(200);
    assert_eq!((head.body.len(), head.header("content-length")), (0, Some("15")));

    let as_json = [("accept", "application/json")];
    let text = api.get_with(&path, &as_json).await.expect(200).json();
    assert_eq!(text, json!({"path": "app.py", "content": "print('hello')\n", "encoding": "utf-8"}));
    let binary = api.get_with(&format!("/projects/{project}/files/src/deep/x.bin"), &as_json).await.json();
    assert_eq!(binary, json!({"path": "src/deep/x.bin", "content": "AAH//g==", "encoding": "base64"}));
    assert_eq!(api.get(&format!("/projects/{project}/files/empty")).await.expect(200).body, b"");
    assert_eq!(api.get(&format!("/projects/{project}/files/inside")).await.expect(200).body, [0, 1, 255, 254]);
    assert_eq!(api.get(&format!("/{project}/files/.hidden")).await.expect(200).body, b"h");
    let result = api.get(&format!("/projects/{project}/files/.codex/result.json?job={job}")).await.expect(200);
    assert_eq!(result.json()["summary"], "ok");
}

#[tokio::test]
async fn paths_that_leave_are_refused_on_every_route() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let cases = [
        ("/etc/passwd", 400), ("%2Fetc%2Fpasswd", 400), ("%252Fetc%252Fpasswd", 400), ("C:%5CWindows", 400), ("C:/Windows", 400),
        ("%5C%5Cserver%5Cshare", 400), ("../x", 400), ("a/../../x", 400), ("src/../app.py", 400), ("%2e%2e/x", 400),
        ("%252e%252e/x", 400), ("src/..%5Cx", 400), ("app.py%00", 400), ("app.py%2500", 400), ("outside", 400), ("root", 400),
        ("outside/x", 400), ("nothing", 404), ("src", 404), ("src/deep", 404), ("app.py/x", 404), ("%ff", 404), ("inside/x", 404),
        (".codex/other", 404), ("app.py", 200), (".codex/result.json", 200),
    ];
    for (path, status) in cases {
        for route in [format!("/api/v1/projects/{project}/files/{path}"), format!("/api/v1/{project}/files/{path}")] {
            // As it is written here: client libraries would tidy it up first.
            let request = format!("GET {route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = api.raw(&request).await.expect(status);
            match status {
                400 => assert_eq!(answer.error(), ("bad_request".to_owned(), json!("Invalid path")), "{path}"),
                404 => assert_eq!(answer.error(), ("not_found".to_owned(), json!("File not found")), "{path}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn attempts_keep_their_trees_and_documents() {
    let api = Api::start().await;
    let (project, first) = project(&api).await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let job = api.job(&project, json!({"job_type": "edit", "instruction": "break it"})).await;
    let attempt = worker.claim(&job).await;
    let path = format!("/projects/{project}/files");
    api.get(&format!("{path}?attempt={attempt}")).await.expect(404);
    let broken = Report { result: Some(json!({"status": "error"})), request: Some(json!({"attempt": 1})), ..Report::default() };
    worker.finish(&job, attempt, Outcome::Failed, &broken, Some(&[("half.txt", Content::File(b"half"))])).await;
    assert_eq!(api.get(&path).await.json()["version"], 1, "its tree is no version");
    let documents = [".codex/request.json", ".codex/result.json"];
    for query in [format!("attempt={attempt}"), format!("job={job}"), format!("job={job}&attempt=1")] {
        let listed = paths(&api.get(&format!("{path}?{query}")).await.expect(200));
        assert_eq!(listed, [documents[0], documents[1], "half.txt"], "{query}");
        assert_eq!(api.get(&format!("{path}/half.txt?{query}")).await.expect(200).body, b"half");
    }
    let newest = api.get(&format!("{path}/.codex/result.json")).await.json();
    assert_eq!(newest, json!({"status": "error"}), "the newest attempt's, though it failed");
    assert_eq!(api.get(&format!("{path}/.codex/result.json?job={first}")).await.json()["status"], "completed");
    assert_eq!(api.get(&format!("{path}?job={job}&attempt=2")).await.expect(404).error().1, "Attempt not found");
    assert_eq!(api.get(&format!("{path}?job={job}&version=1")).await.expect(422).faults(), ["version: value_error"]);
}
