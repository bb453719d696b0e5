//! Forking: a version becomes a project of its own, once for each key, and stands when its origin goes.

use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, Worker, pick};

const ONE: [(&str, Content<'static>); 1] = [("a", Content::File(b"one\n"))];
const TWO: [(&str, Content<'static>); 2] = [("a", Content::File(b"two\n")), ("run", Content::Script(b"#!\n"))];

/// A project with versions 1 ([`ONE`]) and 2 ([`TWO`]).
async fn origin(api: &Api, worker: &Worker) -> String {
    let body = json!({"instruction": "build a thing", "labels": {"team": "a"}});
    let made = api.post("/projects", &body).await.expect(201);
    worker.publish(&made.text("job_id"), &ONE).await;
    let job = api.job(&made.text("id"), json!({"job_type": "edit", "instruction": "change"})).await;
    worker.publish(&job, &TWO).await;
    made.text("id")
}

async fn fork(api: &Api, project: &str, body: Value, key: Option<&str>) -> Answer {
    let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    api.post_with(&format!("/projects/{project}/fork"), &body, &headers).await
}

async fn file(api: &Api, project: &str, path: &str) -> Vec<u8> {
    api.get(&format!("/projects/{project}/files/{path}")).await.expect(200).body
}

#[tokio::test]
async fn a_version_becomes_a_project() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let origin = origin(&api, &worker).await;
    let made = fork(&api, &origin, json!({}), None).await.expect(201);
    let id = made.text("id");
    assert_eq!(made.header("location").unwrap(), format!("/api/v1/projects/{id}"));
    let told = pick(&made.json(), "instruction agent pool status head_version job_id");
    assert_eq!(told, json!(["build a thing", "dummy", "default", "completed", 1, null]));
    assert_eq!((file(&api, &id, "a").await, file(&api, &id, "run").await), (b"two\n".to_vec(), b"#!\n".to_vec()));
    let version = api.get(&format!("/projects/{id}/versions")).await.json()["items"][0].clone();
    let told = pick(&version, "number parent author_kind author_id source_version");
    assert_eq!(told, json!([1, 0, "fork", origin, 2]));
    let trees = api.get(&format!("/projects/{origin}/versions")).await.json();
    assert_eq!(trees["items"][0]["tree_id"], version["tree_id"]);
    let older = json!({"version": 1, "instruction": "something else", "labels": {"x": "y"}});
    let older = fork(&api, &origin, older, None).await.expect(201);
    assert_eq!(older.text("instruction"), "something else");
    assert_eq!(file(&api, &older.text("id"), "a").await, b"one\n");
    let labels = "SELECT labels FROM project WHERE id = ANY ($1::text[]::uuid[]) ORDER BY created_at";
    let ids = [&origin, &id, &older.text("id")];
    let rows = api.database.client().await.unwrap().query(labels, &[&ids.as_slice()]).await.unwrap();
    let labels: Vec<Value> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(labels, [json!({"team": "a"}), json!({"team": "a"}), json!({"x": "y"})]);
}

/// Each goes its own way, and the fork reads its files when the origin is gone.
#[tokio::test]
async fn a_fork_does_not_need_its_origin() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let origin = origin(&api, &worker).await;
    let id = fork(&api, &origin, json!({"version": 1}), None).await.expect(201).text("id");
    let job = api.job(&id, json!({"job_type": "edit", "instruction": "go on"})).await;
    worker.publish(&job, &TWO).await;
    assert_eq!(api.get(&format!("/projects/{id}")).await.json()["head_version"], 2);
    assert_eq!(api.get(&format!("/projects/{origin}")).await.json()["head_version"], 2);
    let client = api.database.client().await.unwrap();
    let delete = "UPDATE project SET deleted_at = now() WHERE id = $1::text::uuid";
    client.execute(delete, &[&origin]).await.unwrap();
    let versions = "DELETE FROM version WHERE project_id = $1::text::uuid";
    client.execute(versions, &[&origin]).await.unwrap();
    assert_eq!(file(&api, &id, "a?version=1").await, b"one\n");
    assert_eq!(fork(&api, &origin, json!({}), None).await.expect(404).error().1, "Project not found");
    assert_eq!(fork(&api, &id, json!({}), None).await.expect(201).json()["head_version"], 1);
}

#[tokio::test]
async fn of_nothing_comes_an_empty_project() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (empty, _) = api.project().await;
    let full = origin(&api, &worker).await;
    for (project, body) in [(&empty, json!({})), (&full, json!({"version": 0}))] {
        let made = fork(&api, project, body, None).await.expect(201);
        assert_eq!(pick(&made.json(), "status head_version"), json!(["completed", 0]));
        let job = api.job(&made.text("id"), json!({"job_type": "edit", "instruction": "begin"})).await;
        worker.publish(&job, &ONE).await;
        assert_eq!(file(&api, &made.text("id"), "a").await, b"one\n");
    }
}

#[tokio::test]
async fn a_repeated_fork_is_made_once() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let origin = origin(&api, &worker).await;
    let made = fork(&api, &origin, json!({"version": 1}), Some("k")).await.expect(201);
    assert_eq!(made.header("idempotency-replayed"), None);
    let again = fork(&api, &origin, json!({"version": 1}), Some("k")).await.expect(201);
    assert_eq!((again.text("id"), again.header("idempotency-replayed")), (made.text("id"), Some("true")));
    let other = fork(&api, &origin, json!({"version": 2}), Some("k")).await.expect(422);
    assert_eq!(other.faults(), ["Idempotency-Key: value_error"]);
    fork(&api, &origin, json!({"version": 3}), Some("free")).await.expect(404);
    fork(&api, &origin, json!({}), Some("free")).await.expect(201);
    let racing = (0..6).map(|_| fork(&api, &origin, json!({}), Some("race")));
    let ids: std::collections::BTreeSet<String> =
        futures_util::future::join_all(racing).await.into_iter().map(|answer| answer.expect(201).text("id")).collect();
    assert_eq!(ids.len(), 1);
    let list = api.get("/projects").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn what_cannot_be_forked_is_told_so() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let origin = origin(&api, &worker).await;
    assert_eq!(fork(&api, &origin, json!({"version": 3}), None).await.expect(404).error().1, "Version not found");
    let nobody = "00000000-0000-0000-0000-000000000009";
    assert_eq!(fork(&api, nobody, json!({}), None).await.expect(404).error().1, "Project not found");
    let wrong = json!({"version": -1, "instruction": "x", "labels": 3, "agent": "dummy"});
    let expected =
        ["version: greater_than_equal", "instruction: string_too_short", "labels: dict_type", "agent: extra_forbidden"];
    assert_eq!(fork(&api, &origin, wrong, None).await.expect(422).faults(), expected);
}
