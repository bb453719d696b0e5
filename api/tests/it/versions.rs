//! Versions: listed, compared, downloaded.

use serde_json::json;

use crate::harness::{Api, Content, Worker};

#[tokio::test]
async fn versions_are_listed_compared_and_downloaded() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, first) = api.project().await;
    let old: [(&str, Content<'_>); 4] = [
        ("gone.txt", Content::File(b"bye\n")),
        ("keep.txt", Content::File(b"same\n")),
        ("main.rs", Content::File(b"fn main() {}\n")),
        ("run", Content::File(b"#!/bin/sh\n")),
    ];
    let big = vec![b'x'; 600 * 1024];
    let new: [(&str, Content<'_>); 6] = [
        ("big.txt", Content::File(&big)),
        ("blob", Content::File(&[0, 1])),
        ("keep.txt", Content::File(b"same\n")),
        ("link", Content::Link("main.rs")),
        ("main.rs", Content::File(b"fn main() {\n    run()\n}\n")),
        ("run", Content::Script(b"#!/bin/sh\n")),
    ];
    worker.publish(&first, &old).await;
    let second = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
    worker.publish(&second, &new).await;

    let path = format!("/projects/{project}/versions");
    let list = api.get(&path).await.expect(200).json();
    let numbers: Vec<_> = list["items"].as_array().unwrap().iter().map(|it| (it["number"].clone(), it["parent"].clone())).collect();
    assert_eq!(numbers, [(json!(2), json!(1)), (json!(1), json!(0))]);
    let newest = &list["items"][0];
    assert_eq!((&newest["author_kind"], &newest["author_id"], &newest["file_count"]), (&json!("job"), &json!(second), &json!(6)));
    let page = api.get(&format!("{path}?limit=1")).await.json();
    let rest = api.get(&format!("{path}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((&rest["items"][0]["number"], rest.get("next_cursor")), (&json!(1), None));

    let diff = api.get(&format!("{path}/1/diff/2")).await.expect(200).json();
    let told = diff["files"].as_array().unwrap().iter().map(|it| json!([it["path"], it["change"], it.get("omitted")]));
    assert_eq!(told.collect::<serde_json::Value>(), json!([
        ["big.txt", "created", "too_large"], ["blob", "created", "binary"], ["gone.txt", "deleted", null],
        ["link", "created", null], ["main.rs", "modified", null], ["run", "modified", null],
    ]));
    let patch = "diff --git a/main.rs b/main.rs\n--- a/main.rs\n+++ b/main.rs\n@@ -1 +1,3 @@\n-fn main() {}\n+fn main() {\n+    run()\n+}\n";
    assert_eq!(diff["files"][4]["diff"], patch);
    assert_eq!(diff["files"][5]["diff"], "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n");
    assert!(diff["files"][3]["diff"].as_str().unwrap().contains("new file mode 120000"));
    assert_eq!((&diff["from"], &diff["to"], &diff["total"]), (&json!(1), &json!(2), &json!(6)));
    let text = api.get_with(&format!("{path}/1/diff/2"), &[("accept", "text/plain")]).await.expect(200);
    let text = String::from_utf8(text.body).unwrap();
    assert!(text.contains(patch) && text.contains("# created big.txt: too large\n"), "{text}");
    assert_eq!(api.get(&format!("{path}/2/diff/2")).await.json()["files"], json!([]));
    assert_eq!(api.get(&format!("{path}/0/diff/1")).await.json()["total"], 4, "from the empty version");
    api.get(&format!("{path}/1/diff/3")).await.expect(404);

    let archive = api.get(&format!("/projects/{project}/archive?version=1")).await.expect(200);
    assert_eq!(archive.header("content-type"), Some("application/x-tar"));
    assert!(archive.header("content-disposition").unwrap().ends_with("-v1.tar\""));
    let request = api.request(reqwest::Method::POST, "/projects/import?instruction=again").body(archive.body);
    let copy = crate::harness::Answer::of(request).await.expect(201).text("id");
    let tree = async |project: String| { api.get(&format!("/projects/{project}/versions")).await.json()["items"].clone() };
    let (copied, original) = (tree(copy).await, tree(project.clone()).await);
    assert_eq!(copied[0]["tree_id"], original[1]["tree_id"], "the archive is the version");
    let empty = api.get(&format!("/projects/{project}/archive?version=0")).await.expect(200);
    assert_eq!(empty.body, [0; 1024]);
}
