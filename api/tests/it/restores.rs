//! Restoring: an older tree is the newest again, once, and never over a head that was not meant.

use drydock_database::{job::Finished, report::Report};
use drydock_domain::Outcome;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, PATIENCE, Worker, column, pick};

const OLD: [(&str, Content<'static>); 2] = [("a", Content::File(b"old\n")), ("b", Content::Script(b"#!\n"))];
const NEW: [(&str, Content<'static>); 1] = [("a", Content::File(b"new\n"))];

/// A project with versions 1 ([`OLD`]) and 2 ([`NEW`]).
async fn project(api: &Api, worker: &Worker) -> String {
    let (project, first) = api.project().await;
    worker.publish(&first, &OLD).await;
    let second = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
    worker.publish(&second, &NEW).await;
    project
}

async fn restore(api: &Api, project: &str, number: &str, if_match: Option<&str>) -> Answer {
    let headers: Vec<(&str, &str)> = if_match.map(|tag| ("if-match", tag)).into_iter().collect();
    api.post_with(&format!("/projects/{project}/versions/{number}/restore"), &json!({}), &headers).await
}

async fn versions(api: &Api, project: &str) -> Value {
    api.get(&format!("/projects/{project}/versions")).await.json()["items"].clone()
}

#[tokio::test]
async fn an_older_tree_becomes_the_newest_version() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let before = api.get(&format!("/projects/{project}")).await.text("updated_at");
    let made = restore(&api, &project, "1", Some("\"2\"")).await.expect(201);
    let told = pick(&made.json(), "number parent author_kind author_id source_version file_count");
    assert_eq!(told, json!([3, 2, "restore", project, 1, 2]));
    assert_eq!(made.header("etag"), Some("\"3\""));
    let list = versions(&api, &project).await;
    assert_eq!(list[0], made.json());
    assert_eq!(
        (&list[0]["tree_id"], column(&list, "number")),
        (&list[2]["tree_id"], vec![json!(3), json!(2), json!(1)])
    );
    assert_eq!(api.get(&format!("/projects/{project}/files/a")).await.body, b"old\n");
    let shown = api.get(&format!("/projects/{project}")).await.json();
    assert_eq!(shown["head_version"], 3);
    assert!(shown["updated_at"].as_str().unwrap() > before.as_str());
    let rows = "SELECT manifest_id, delta, pack_ids, file_count, total_bytes FROM version WHERE number IN (1, 3)";
    let rows = format!("SELECT count(*) FROM (SELECT DISTINCT * FROM ({rows}) v) d");
    let distinct: i64 = api.database.client().await.unwrap().query_one(&rows, &[]).await.unwrap().get(0);
    assert_eq!(distinct, 1, "the rows say the same");
}

#[tokio::test]
async fn what_is_the_newest_already_is_not_made_again() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    assert_eq!(restore(&api, &project, "2", None).await.expect(200).json()["number"], 2);
    assert_eq!(restore(&api, &project, "1", Some("\"2\"")).await.expect(201).json()["number"], 3);
    for (number, tag) in [("1", Some("\"2\"")), ("3", None), ("1", Some("\"3\""))] {
        let again = restore(&api, &project, number, tag).await.expect(200);
        assert_eq!((&again.json()["number"], again.header("etag")), (&json!(3), Some("\"3\"")), "{number} {tag:?}");
    }
    assert_eq!(versions(&api, &project).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_head_that_was_not_meant_is_not_followed() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    for tag in ["\"1\"", "W/\"2\"", "2", "\"7\", \"8\""] {
        let answer = restore(&api, &project, "1", Some(tag)).await.expect(412);
        let detail = "The newest version is 2: look at it, then send If-Match: \"2\"";
        assert_eq!(answer.error(), ("precondition_failed".to_owned(), json!(detail)), "{tag}");
    }
    for (number, status, detail) in [
        ("9", 404, "Version not found"),
        ("x", 404, "Version not found"),
        ("0", 409, "Version 0 is the empty one: there is nothing to restore"),
    ] {
        assert_eq!(restore(&api, &project, number, None).await.expect(status).error().1, detail);
    }
    let nobody = "00000000-0000-0000-0000-000000000009";
    assert_eq!(restore(&api, nobody, "1", None).await.expect(404).error().1, "Project not found");
    let path = format!("/projects/{project}/versions/1/restore");
    assert_eq!(api.post(&path, &json!({"x": 1})).await.expect(422).faults(), ["x: extra_forbidden"]);
    assert_eq!(versions(&api, &project).await.as_array().unwrap().len(), 2);
    restore(&api, &project, "1", Some("\"7\", \"2\"")).await.expect(201);
    restore(&api, &project, "2", Some("*")).await.expect(201);
}

/// Of several at once, held up until all have begun, one moves the head; the others find their tree in place, or the head moved.
#[tokio::test]
async fn restores_that_race_move_the_head_once() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let (mut client, watch) = (api.database.client().await.unwrap(), api.database.client().await.unwrap());
    let held = client.transaction().await.unwrap();
    let hold = "SELECT FROM project WHERE id = $1::text::uuid FOR NO KEY UPDATE";
    held.execute(hold, &[&project]).await.unwrap();
    let racing = futures_util::future::join_all((0..3).map(|_| restore(&api, &project, "1", Some("\"2\""))));
    let released = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        drydock_testing::until("all wait", PATIENCE, async || {
            let waiting: i64 = watch.query_one(waiting, &[]).await.unwrap().get(0);
            (waiting == 3).then_some(())
        })
        .await;
        held.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(racing, released);
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 201]);
    assert_eq!(versions(&api, &project).await.as_array().unwrap().len(), 3);
}

/// A writer that runs meanwhile started from another head: it runs again on the restored one, and its result comes after.
#[tokio::test]
async fn a_running_writer_runs_again_on_the_restored_head() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let job = api.job(&project, json!({"job_type": "edit", "instruction": "more"})).await;
    let attempt = worker.claim(&job).await;
    restore(&api, &project, "1", None).await.expect(201);
    let edited = [("a", Content::File(b"new\n")), ("c", Content::File(b"c\n"))];
    let report = Report::default();
    let done = worker.try_finish(&job, attempt, Outcome::Succeeded, &report, Some(&edited)).await;
    assert_eq!(done, Finished::Conflict);
    let waits = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(pick(&waits, "status status_detail version"), json!(["queued", "retrying", null]));
    assert_eq!(waits["attempts"][0]["outcome"], "conflict");
    let attempt = worker.claim(&job).await;
    let edited = [("a", Content::File(b"old\n")), ("c", Content::File(b"c\n"))];
    worker.finish(&job, attempt, Outcome::Succeeded, &report, Some(&edited)).await;
    let over = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(pick(&over, "status version"), json!(["completed", 4]));
    assert_eq!(over["attempts"][1]["base_version"], 3);
    let list = versions(&api, &project).await;
    assert_eq!(column(&list, "author_kind"), ["job", "restore", "job", "job"]);
    assert_eq!(list[0]["job"]["attempt"], 2);
}

/// A job that changed nothing has nothing that could clash.
#[tokio::test]
async fn a_running_job_without_changes_does_not_mind() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let job = api.job(&project, json!({"job_type": "edit", "instruction": "look"})).await;
    let attempt = worker.claim(&job).await;
    restore(&api, &project, "1", None).await.expect(201);
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default(), None).await;
    assert_eq!(api.get(&format!("/jobs/{job}")).await.text("status"), "completed");
    assert_eq!(versions(&api, &project).await.as_array().unwrap().len(), 3);
}
