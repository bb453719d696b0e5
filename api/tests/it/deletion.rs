//! What is there no more: deleted projects, and versions whose files were dropped.

use std::time::Duration;

use drydock_database::{
    report::Report,
    retention::{self, Retention},
};
use drydock_domain::Outcome;
use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker, column};

async fn delete(api: &Api, project: &str) -> Answer {
    api.delete(&format!("/projects/{project}")).await
}

/// Red when a route shows what is deleted, when jobs go on, and when a second request is refused.
#[tokio::test]
async fn a_deleted_project_is_seen_no_more_and_its_jobs_are_cancelled() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, first) = api.project().await;
    worker.publish(&first, &[("a", Content::File(b"a"))]).await;
    let running = api.job(&project, json!({"job_type": "edit", "instruction": "one"})).await;
    let waiting = api.job(&project, json!({"job_type": "edit", "instruction": "two"})).await;
    let attempt = worker.claim(&running).await;
    let schedule = json!({"project_id": project, "name": "n", "cron": "0 0 * * *", "job": {"job_type": "edit", "instruction": "x"}});
    let schedule = api.post("/schedules", &schedule).await.expect(201).text("id");
    let (other, _) = api.project().await;

    delete(&api, &project).await.expect(204);
    delete(&api, &project).await.expect(204);
    delete(&api, "0198c0de-0000-7000-8000-000000000000").await.expect(404);
    for path in ["", "/files", "/files/a", "/versions", "/archive", "/jobs"] {
        api.get(&format!("/projects/{project}{path}")).await.expect(404);
    }
    api.get(&format!("/schedules/{schedule}")).await.expect(404);
    let refused =
        api.post(&format!("/projects/{project}/jobs"), &json!({"job_type": "edit", "instruction": "x"})).await;
    assert_eq!(refused.expect(404).error().1, "Project not found");
    assert_eq!(column(&api.get("/projects").await.json()["items"], "id"), [json!(other)]);
    assert_eq!(api.get(&format!("/jobs/{waiting}")).await.expect(200).text("status"), "cancelled");
    assert_eq!(api.get(&format!("/jobs/{running}")).await.json()["status_detail"], "cancelling");
    worker.finish(&running, attempt, Outcome::Succeeded, &Report::default(), Some(&[("b", Content::File(b"b"))])).await;
    assert_eq!(api.get(&format!("/jobs/{running}")).await.text("status"), "cancelled");
}

/// Red when a dropped version is read from what is left of it, or is called unknown.
#[tokio::test]
async fn a_version_whose_files_were_dropped_is_gone_and_stays_in_the_history() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, first) = api.project().await;
    worker.publish(&first, &[("a", Content::File(b"a"))]).await;
    let second = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
    worker.publish(&second, &[("a", Content::File(b"b"))]).await;
    let third = api.job(&project, json!({"job_type": "edit", "instruction": "fail"})).await;
    let attempt = worker.claim(&third).await;
    worker.finish(&third, attempt, Outcome::Failed, &Report::default(), Some(&[("a", Content::File(b"c"))])).await;
    let client = api.database.client().await.unwrap();
    let keep = Retention { versions: Some(1), seconds: None };
    assert!(retention::set_of_project(&client, project.parse().unwrap(), keep).await.unwrap());
    retention::retain(&client, None, 10, 10, Duration::ZERO).await.unwrap();
    let read = async |query: &str| api.get(&format!("/projects/{project}/files/a?{query}")).await;
    read(&format!("job={third}")).await.expect(200);
    retention::expire_trees(&client, Duration::ZERO, 10).await.unwrap();

    for path in ["files?version=1", "files/a?version=1", "archive?version=1", "versions/1/diff/2"] {
        let gone = api.get(&format!("/projects/{project}/{path}")).await.expect(410);
        assert_eq!(gone.error(), ("gone".to_owned(), json!("The files of this version are kept no more")), "{path}");
    }
    read(&format!("job={third}")).await.expect(410);
    read(&format!("job={first}")).await.expect(410);
    read("").await.expect(200);
    read(&format!("job={second}")).await.expect(200);
    read("version=9").await.expect(404);
    let list = api.get(&format!("/projects/{project}/versions")).await.expect(200).json()["items"].clone();
    assert_eq!(column(&list, "number"), [json!(2), json!(1)]);
    let expired: Vec<_> = column(&list, "expired_at").iter().map(serde_json::Value::is_string).collect();
    assert_eq!(expired, [false, true]);
}
