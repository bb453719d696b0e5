//! Files: listed, read raw, in part and as JSON, by version and by attempt; and every rule for paths.

use drydock_database::report::Report;
use drydock_domain::{Digest, Outcome};
use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker, pick, table};

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

const LISTED: [&str; 9] = [
    ".codex/request.json",
    ".codex/result.json",
    ".hidden",
    "README.md",
    "app.py",
    "empty",
    "inside",
    "run.sh",
    "src/deep/x.bin",
];
const UNLISTED: [&str; 4] = ["outside", "root", "src", "src/deep"];

#[tokio::test]
async fn a_listing_has_every_file_and_no_link_that_escapes() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/files");
    let list = api.get(&path).await.expect(200);
    assert_eq!(paths(&list), LISTED);
    assert_eq!(list.json()["version"], 1);
    let files = &list.json()["files"];
    let hash = Digest::of(APP).to_string();
    let app = json!({"path": "app.py", "kind": "file", "size": APP.len(), "mode": "0644", "blake3": hash});
    assert_eq!(files[4], app);
    assert_eq!(pick(&files[6], "kind link_target blake3"), json!(["symlink", "src/deep/x.bin", null]));
    assert_eq!(files[7]["mode"], "0755");
    assert_eq!(paths(&api.get(&format!("/{project}/files")).await.expect(200)), LISTED, "the older path");
    assert_eq!(paths(&api.get(&format!("{path}?version=0")).await), LISTED[..2]);
    let all = api.get(&format!("{path}?all=true")).await.expect(200);
    assert_eq!(paths(&all).into_iter().filter(|path| !LISTED.contains(&path.as_str())).collect::<Vec<_>>(), UNLISTED);
    assert_eq!(api.get(&format!("{path}?all=1")).await.expect(422).faults(), ["all: enum"]);
}

#[tokio::test]
async fn a_listing_comes_in_pages() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/files");
    for limit in [1, 2, 8, 9] {
        let mut seen = Vec::new();
        let mut query = format!("limit={limit}");
        loop {
            let page = api.get(&format!("{path}?{query}")).await.expect(200);
            seen.extend(paths(&page));
            let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else {
                break;
            };
            query = format!("limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, LISTED, "{limit} a page");
    }
    let bad = api.get(&format!("{path}?version=x&limit=0&cursor=!&attempt=1&y=")).await.expect(422);
    let expected = "version: int_parsing, attempt: uuid_parsing, limit: greater_than_equal, cursor: value_error, \
                    y: extra_forbidden";
    assert_eq!(bad.faults().join(", "), expected);
}

#[tokio::test]
async fn a_file_is_read_conditionally_and_in_part() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/files/app.py");
    let raw = api.get(&path).await.expect(200);
    let etag = format!("\"{}\"", Digest::of(APP));
    assert_eq!(raw.body, APP);
    let expected = [
        ("etag", etag.as_str()),
        ("content-type", "application/octet-stream"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(raw.header(name), Some(value));
    }
    assert_eq!(api.get_with(&path, &[("if-none-match", &etag)]).await.expect(304).body, b"");
    assert_eq!(api.get_with(&path, &[("if-none-match", "\"x\", W/\"y\"")]).await.expect(200).body, APP);
    let part = api.get_with(&path, &[("range", "bytes=1-4")]).await.expect(206);
    assert_eq!((part.body.as_slice(), part.header("content-range")), (&APP[1..5], Some("bytes 1-4/15")));
    let stale = api.get_with(&path, &[("range", "bytes=1-4"), ("if-range", "\"x\"")]).await;
    assert_eq!(stale.expect(200).body, APP);
    let beyond = api.get_with(&path, &[("range", "bytes=15-")]).await.expect(416);
    assert_eq!(beyond.header("content-range"), Some("bytes */15"));
    assert_eq!(
        api.get_with(&path, &[("if-match", "\"x\", W/\"y\"")]).await.expect(412).error().0,
        "precondition_failed"
    );
    let both = [("if-match", etag.as_str()), ("if-none-match", "\"x\""), ("range", "BYTES=-3"), ("if-range", &etag)];
    let part = api.get_with(&path, &both).await.expect(206);
    assert_eq!(
        (part.body.as_slice(), part.header("etag"), part.header("vary")),
        (&APP[12..], Some(etag.as_str()), Some("accept"))
    );
    let weak = format!("W/{etag}");
    assert_eq!(api.get_with(&path, &[("range", "bytes=0-1"), ("if-range", &weak)]).await.expect(200).body, APP);
    let dated = [("range", "bytes=0-1"), ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(api.get_with(&path, &dated).await.expect(200).body, APP);
    let known = api.get_with(&path, &[("range", "bytes=99-"), ("if-none-match", &etag)]).await.expect(304);
    assert_eq!((known.header("etag"), known.header("cache-control")), (Some(etag.as_str()), Some("no-cache")));
}

#[tokio::test]
async fn a_head_is_that_of_the_whole() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/files/app.py");
    let head = |name, value| Answer::of(api.request(reqwest::Method::HEAD, &path).header(name, value));
    for (name, value) in [("x-nothing", ""), ("range", "bytes=1-4"), ("range", "bytes=99-")] {
        let head = head(name, value).await.expect(200);
        let told = (head.body.len(), head.header("content-length"), head.header("content-range"));
        assert_eq!(told, (0, Some("15"), None), "{name}: {value}");
        assert_eq!((head.header("accept-ranges"), head.header("etag").is_some()), (Some("bytes"), true));
    }
    let etag = format!("\"{}\"", Digest::of(APP));
    assert_eq!(head("if-none-match", &etag).await.expect(304).body, b"");
}

/// A file of several chunks of 4 MiB: parts within one, across two, and at both ends.
#[tokio::test]
async fn a_big_file_is_read_in_part() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let content: Vec<u8> = (0_u32..9 << 18).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    worker.publish(&job, &[("big", Content::File(&content))]).await;
    let path = format!("/projects/{project}/files/big");
    assert!(api.get(&path).await.expect(200).body == content);
    let chunk = 4 << 20;
    let size = content.len();
    for (start, end) in [(0, 1), (chunk - 3, chunk + 3), (chunk, 2 * chunk), (1, size - 1), (size - 1, size)] {
        let range = format!("bytes={start}-{}", end - 1);
        let part = api.get_with(&path, &[("range", &range)]).await.expect(206);
        assert!(part.body == content[start..end], "{range}");
        assert_eq!(part.header("content-range").unwrap(), format!("bytes {start}-{}/{size}", end - 1));
        assert_eq!(part.header("content-length").unwrap(), (end - start).to_string());
    }
}

#[tokio::test]
async fn a_file_is_given_as_json_where_that_is_asked_for() {
    let api = Api::start().await;
    let (project, job) = project(&api).await;
    let files = format!("/projects/{project}/files");
    let as_json = [("accept", "application/json")];
    let text = api.get_with(&format!("{files}/app.py"), &as_json).await.expect(200).json();
    assert_eq!(text, json!({"path": "app.py", "content": "print('hello')\n", "encoding": "utf-8"}));
    let binary = api.get_with(&format!("{files}/src/deep/x.bin"), &as_json).await.json();
    assert_eq!(binary, json!({"path": "src/deep/x.bin", "content": "AAH//g==", "encoding": "base64"}));
    assert_eq!(api.get(&format!("{files}/empty")).await.expect(200).body, b"");
    assert_eq!(api.get(&format!("{files}/inside")).await.expect(200).body, [0, 1, 255, 254]);
    assert_eq!(api.get(&format!("/{project}/files/.hidden")).await.expect(200).body, b"h");
    let result = api.get(&format!("{files}/.codex/result.json?job={job}")).await.expect(200);
    assert_eq!(result.json()["summary"], "ok");
}

const PATHS: &str = r#"
    /etc/passwd %2Fetc%2Fpasswd %252Fetc%252Fpasswd C:%5CWindows C:/Windows %5C%5Cserver%5Cshare => 400
    ../x a/../../x src/../app.py %2e%2e/x %252e%252e/x src/..%5Cx app.py%00 app.py%2500          => 400
    outside root outside/x                                                                       => 400
    nothing src src/deep app.py/x %ff inside/x .codex/other                                      => 404
    app.py .codex/result.json                                                                    => 200
"#;

#[tokio::test]
async fn paths_that_leave_are_refused_on_every_route() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let cases = table(PATHS).flat_map(|(paths, status)| paths.split_whitespace().map(move |path| (path, status)));
    for (path, status) in cases {
        for route in [format!("/api/v1/projects/{project}/files/{path}"), format!("/api/v1/{project}/files/{path}")] {
            // As it is written here: client libraries would tidy it up first.
            let request = format!("GET {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = api.raw(&request).await.expect(status.parse().unwrap());
            match status {
                "400" => assert_eq!(answer.error(), ("bad_request".to_owned(), json!("Invalid path")), "{path}"),
                "404" => assert_eq!(answer.error(), ("not_found".to_owned(), json!("File not found")), "{path}"),
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
    let result = Some(json!({"status": "error"}));
    let broken = Report { result, ..exchange() };
    let left = [("half.txt", Content::File(b"half"))];
    worker.finish(&job, attempt, Outcome::Failed, &broken, Some(&left)).await;
    assert_eq!(api.get(&path).await.json()["version"], 1, "its tree is no version");
    for query in [format!("attempt={attempt}"), format!("job={job}"), format!("job={job}&attempt=1")] {
        let listed = paths(&api.get(&format!("{path}?{query}")).await.expect(200));
        assert_eq!(listed, [LISTED[0], LISTED[1], "half.txt"], "{query}");
        assert_eq!(api.get(&format!("{path}/half.txt?{query}")).await.expect(200).body, b"half");
    }
    let newest = api.get(&format!("{path}/.codex/result.json")).await.json();
    assert_eq!(newest, json!({"status": "error"}), "the newest attempt's, though it failed");
    let older = api.get(&format!("{path}/.codex/result.json?job={first}")).await.json();
    assert_eq!(older["status"], "completed");
    let none = api.get(&format!("{path}?job={job}&attempt=2")).await.expect(404);
    assert_eq!(none.error().1, "Attempt not found");
    two_trees_are_not_one(&api, &path, &job).await;
}

async fn two_trees_are_not_one(api: &Api, path: &str, job: &str) {
    let two = api.get(&format!("{path}?job={job}&version=1")).await.expect(422);
    assert_eq!(two.faults(), ["version: value_error"]);
}
