//! Import: an uploaded tree is version 1, and what an archive may not say is refused.

use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker, tar};

async fn send(api: &Api, query: &str, body: Vec<u8>) -> Answer {
    let request = api.request(reqwest::Method::POST, &format!("/projects/import?{query}"));
    Answer::of(request.header("content-type", "application/x-tar").body(body)).await
}

#[tokio::test]
async fn an_archive_becomes_version_one() {
    let api = Api::start().await;
    let _worker = Worker::start(&api, &["dummy", "codex"]).await;
    let files = [("a/b.txt", Content::File(b"b")), ("run", Content::Script(b"#!")), ("link", Content::Link("a/b.txt"))];
    let query = "instruction=an+imported+tree&agent=codex&labels=team%3Da&labels=n%3D1&pool=p";
    let made = send(&api, query, tar(&files)).await.expect(201);
    let project = made.json();
    let id = made.text("id");
    assert_eq!(made.header("location").unwrap(), format!("/api/v1/projects/{id}"));
    assert_eq!((&project["status"], &project["head_version"]), (&json!("completed"), &json!(1)));
    assert_eq!((&project["agent"], &project["pool"]), (&json!("codex"), &json!("p")));
    assert!(project.get("job_id").is_none());
    let list = api.get(&format!("/projects/{id}/files")).await.json();
    let paths: Vec<_> = list["files"].as_array().unwrap().iter().map(|file| (&file["path"], &file["mode"])).collect();
    assert_eq!(json!(paths), json!([["a/b.txt", "0644"], ["link", "0777"], ["run", "0755"]]));
    let version = api.get(&format!("/projects/{id}/versions")).await.json()["items"][0].clone();
    assert_eq!((&version["author_kind"], &version["author_id"]), (&json!("import"), &json!(id)));
    let client = api.database.client().await.unwrap();
    let packs = client.query("SELECT state FROM pack", &[]).await.unwrap();
    assert_eq!(
        packs.iter().map(|row| row.get::<_, String>("state")).collect::<Vec<_>>(),
        ["live", "live"],
        "the pack and the manifest"
    );
}

#[tokio::test]
async fn what_an_archive_may_not_say_is_refused() {
    let api = Api::start_with(&["--import-limit", "65536"]).await;
    let fine = tar(&[("a", Content::File(b"a"))]);
    let cases = [
        (tar(&[("../a", Content::File(b"a"))]), 400, "bad_request", "../a"),
        (tar(&[("/a", Content::File(b"a"))]), 400, "bad_request", "/a"),
        (tar(&[("a", Content::File(b"a")), ("a/b", Content::File(b"b"))]), 400, "bad_request", ""),
        (tar(&[]), 400, "bad_request", "no files"),
        (b"not an archive at all".to_vec(), 400, "bad_request", "tar"),
        (fine[..700].to_vec(), 400, "bad_request", ""),
        (tar(&[("big", Content::File(&vec![7; 70_000]))]), 413, "payload_too_large", "65536"),
    ];
    for (archive, status, error, words) in cases {
        let answer = send(&api, "instruction=import+this", archive).await.expect(status);
        let (word, detail) = answer.error();
        assert_eq!(word, error);
        assert!(detail.as_str().unwrap().contains(words), "{detail} should say {words}");
    }
    let none = send(&api, "labels=x&agent=a+b&y=1", fine).await.expect(422);
    let expected =
        ["instruction: missing", "agent: string_pattern_mismatch", "labels: value_error", "y: extra_forbidden"];
    assert_eq!(none.faults(), expected);
    assert_eq!(api.get("/projects").await.json()["items"], json!([]), "nothing was made");
}
