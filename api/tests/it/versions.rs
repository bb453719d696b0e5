//! Versions: listed, compared, downloaded.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker, column, pick};

const OLD: [(&str, Content<'static>); 4] = [
    ("gone.txt", Content::File(b"bye\n")),
    ("keep.txt", Content::File(b"same\n")),
    ("main.rs", Content::File(b"fn main() {}\n")),
    ("run", Content::File(b"#!/bin/sh\n")),
];
static BIG: [u8; 600 * 1024] = [b'x'; 600 * 1024];
static NEW: [(&str, Content<'static>); 6] = [
    ("big.txt", Content::File(&BIG)),
    ("blob", Content::File(&[0, 1])),
    ("keep.txt", Content::File(b"same\n")),
    ("link", Content::Link("main.rs")),
    ("main.rs", Content::File(b"fn main() {\n    run()\n}\n")),
    ("run", Content::Script(b"#!/bin/sh\n")),
];
const PATCH: &str = "diff --git a/main.rs b/main.rs\n--- a/main.rs\n+++ b/main.rs\n@@ -1 +1,3 @@\n\
                     -fn main() {}\n+fn main() {\n+    run()\n+}\n";

/// A project with versions 1 ([`OLD`]) and 2 ([`NEW`]), and the job that made the second.
async fn project(api: &Api) -> (String, String) {
    let worker = Worker::start(api, &["dummy"]).await;
    let (project, first) = api.project().await;
    worker.publish(&first, &OLD).await;
    let second = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
    let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let report = Report {
        created_files: listed(&["big.txt", "blob", "link"]),
        modified_files: listed(&["main.rs", "run"]),
        deleted_files: listed(&["gone.txt"]),
        ..Report::default()
    };
    let attempt = worker.claim(&second).await;
    worker.finish(&second, attempt, Outcome::Succeeded, &report, Some(&NEW)).await;
    (project, second)
}

#[tokio::test]
async fn versions_are_listed_newest_first() {
    let api = Api::start().await;
    let (project, second) = project(&api).await;
    let path = format!("/projects/{project}/versions");
    let list = api.get(&path).await.expect(200).json()["items"].clone();
    assert_eq!(
        (column(&list, "number"), column(&list, "parent")),
        (vec![json!(2), json!(1)], vec![json!(1), json!(0)])
    );
    assert_eq!(pick(&list[0], "author_kind author_id file_count"), json!(["job", second, 6]));
    assert_eq!(list[0]["job"], json!({"id": second, "title": "change", "attempt": 1}));
    assert_eq!(list[0]["changes"], json!({"created": 3, "modified": 2, "deleted": 1}));
    let page = api.get(&format!("{path}?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.get(&format!("{path}?limit=1&cursor={cursor}")).await.json();
    assert_eq!((column(&rest["items"], "number"), rest.get("next_cursor")), (vec![json!(1)], None));
}

#[tokio::test]
async fn two_versions_are_compared() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/versions");
    let diff = api.get(&format!("{path}/1/diff/2")).await.expect(200).json();
    let told: Vec<_> = diff["files"].as_array().unwrap().iter().map(|it| pick(it, "path change omitted")).collect();
    let expected = json!([
        ["big.txt", "created", "too_large"],
        ["blob", "created", "binary"],
        ["gone.txt", "deleted", null],
        ["link", "created", null],
        ["main.rs", "modified", null],
        ["run", "mode_changed", null],
    ]);
    assert_eq!(json!(told), expected);
    assert_eq!(diff["files"][4]["diff"], PATCH);
    assert_eq!(diff["files"][5]["diff"], "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n");
    assert!(diff["files"][3]["diff"].as_str().unwrap().contains("new file mode 120000"));
    assert_eq!(pick(&diff, "from to total"), json!([1, 2, 6]));
    let text = api.get_with(&format!("{path}/1/diff/2"), &[("accept", "text/plain")]).await.expect(200);
    let text = String::from_utf8(text.body).unwrap();
    assert!(text.contains(PATCH) && text.contains("# created big.txt: too large\n"), "{text}");
    assert_eq!(api.get(&format!("{path}/2/diff/2")).await.json()["files"], json!([]));
    assert_eq!(api.get(&format!("{path}/0/diff/1")).await.json()["total"], 4, "from the empty version");
    api.get(&format!("{path}/1/diff/3")).await.expect(404);
}

#[tokio::test]
async fn an_archive_is_the_version() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let archive = api.get(&format!("/projects/{project}/archive?version=1")).await.expect(200);
    assert_eq!(archive.header("content-type"), Some("application/x-tar"));
    assert!(archive.header("content-disposition").unwrap().ends_with("-v1.tar\""));
    let request = api.request(reqwest::Method::POST, "/projects/import?instruction=again").body(archive.body);
    let copy = Answer::of(request).await.expect(201).text("id");
    let trees = async |project: &str| {
        let list = api.get(&format!("/projects/{project}/versions")).await.json();
        column(&list["items"], "tree_id")
    };
    assert_eq!(trees(&copy).await[0], trees(&project).await[1]);
    let empty = api.get(&format!("/projects/{project}/archive?version=0")).await.expect(200);
    assert_eq!(empty.body, [0; 1024]);
}

/// The names in an archive, as `tar` reads them.
async fn names(archive: &[u8], option: &str) -> Vec<String> {
    let mut tar = tokio::process::Command::new("tar");
    tar.args([option, "-tf", "-"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = tar.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, archive).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_archive_has_the_kind_that_is_asked_for() {
    let api = Api::start().await;
    let (project, _) = project(&api).await;
    let path = format!("/projects/{project}/archive");
    let mut tags = std::collections::BTreeSet::new();
    for (format, media, option) in
        [("tar", "x-tar", Some("-v")), ("tar.gz", "gzip", Some("-z")), ("tar.zst", "zstd", None), ("zip", "zip", None)]
    {
        let archive = api.get(&format!("{path}?format={format}&version=2")).await.expect(200);
        assert_eq!(archive.header("content-type").unwrap(), format!("application/{media}"));
        assert!(archive.header("content-disposition").unwrap().ends_with(&format!("-v2.{format}\"")));
        tags.insert(archive.header("etag").unwrap().to_owned());
        if let Some(option) = option {
            assert_eq!(names(&archive.body, option).await.len(), NEW.len(), "{format}");
        }
    }
    assert_eq!(tags.len(), 4, "each kind has its tag");
    let empty = api.get(&format!("{path}?version=0&format=zip")).await.expect(200);
    assert_eq!(&empty.body[..4], b"PK\x05\x06");
    let bad = api.get(&format!("{path}?format=rar&y=")).await.expect(422);
    assert_eq!(bad.faults(), ["format: enum", "y: extra_forbidden"]);
}

#[tokio::test]
async fn an_archive_is_asked_for_conditionally_and_in_part() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let files = [("src/a", Content::File(b"a")), ("src/b/c", Content::File(b"c")), ("src2", Content::File(b"2"))];
    worker.publish(&job, &files).await;
    let path = format!("/projects/{project}/archive");
    let whole = api.get(&path).await.expect(200);
    let tag = whole.header("etag").unwrap().to_owned();
    let same = api.get_with(&path, &[("if-none-match", &format!("\"x\", W/{tag}"))]).await.expect(304);
    assert_eq!((same.body.len(), same.header("etag")), (0, Some(tag.as_str())));
    api.get_with(&format!("{path}?format=zip"), &[("if-none-match", &tag)]).await.expect(200);
    let head = Answer::of(api.request(reqwest::Method::HEAD, &path)).await.expect(200);
    assert_eq!((head.body.len(), head.header("etag")), (0, Some(tag.as_str())));
    for (below, expected) in [("src", vec!["src", "src/a", "src/b", "src/b/c"]), ("src/b/c", vec!["src/b/c"])] {
        let part = api.get_with(&format!("{path}?path={below}"), &[("if-none-match", &tag)]).await.expect(200);
        assert_eq!(names(&part.body, "--no-recursion").await, expected);
        assert_ne!(part.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(api.get(&format!("{path}?path=nothing")).await.expect(404).error().1, "File not found");
    assert_eq!(api.get(&format!("{path}?path=/etc")).await.expect(400).error().1, "Invalid path");
}
