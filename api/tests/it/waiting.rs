//! Why a job waits: a test for each rule, with the exact text.

use drydock_database::{job, report::Report};
use drydock_domain::{JobId, Outcome};
use serde_json::{Value, json};

use crate::harness::{Api, Worker};

/// What holds the job: rule, message and position; times are checked apart.
async fn waits(api: &Api, job: &str) -> (Value, Value, Value) {
    let waiting = waiting(api, job).await;
    (waiting["rule"].clone(), waiting["message"].clone(), waiting["position"].clone())
}

async fn waiting(api: &Api, job: &str) -> Value {
    api.get(&format!("/jobs/{job}")).await.expect(200).json()["waiting"].clone()
}

async fn sql(api: &Api, statement: &str) {
    api.database.client().await.unwrap().batch_execute(statement).await.unwrap();
}

fn edit() -> Value {
    json!({"job_type": "edit", "instruction": "x"})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[tokio::test]
async fn run_at() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let job = api.job(&project, with(edit(), "run_at", json!("2999-01-01T00:00:00Z"))).await;
    let told = waiting(&api, &job).await;
    assert_eq!((&told["rule"], &told["message"]), (&json!("run_at"), &json!("not before 2999-01-01T00:00:00.000Z")));
    assert!(told["estimate_s"].as_i64().unwrap() > 30_000_000_000, "{told}");
    sql(&api, "UPDATE job SET run_at = '2026-01-01' WHERE state = 'scheduled'").await;
    let told = waits(&api, &job).await;
    assert_eq!(
        told,
        (json!("run_at"), json!("due since 2026-01-01T00:00:00.000Z: it goes on in a moment"), Value::Null)
    );
}

#[tokio::test]
async fn dependencies() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let mut jobs = vec![first.clone()];
    for _ in 0..6 {
        jobs.push(api.job(&project, edit()).await);
    }
    let one = api.job(&project, with(edit(), "depends_on", json!([jobs[1]]))).await;
    let text = format!("depends on a job that has not completed: {} (pending)", jobs[1]);
    assert_eq!(waits(&api, &one).await, (json!("dependencies"), json!(text), Value::Null));
    let many = api.job(&project, with(edit(), "depends_on", json!(jobs))).await;
    worker.claim(&first).await;
    let named: Vec<String> = jobs[1..5].iter().map(|job| format!("{job} (pending)")).collect();
    let text =
        format!("depends on 7 jobs that have not completed: {first} (materializing), {}, and 2 more", named.join(", "));
    assert_eq!(waits(&api, &many).await, (json!("dependencies"), json!(text), Value::Null));
    sql(&api, "UPDATE job SET state = 'succeeded', current_attempt = NULL, finished_at = now() WHERE unmet = 0").await;
    let text = "the jobs it depends on have completed: it goes on in a moment";
    assert_eq!(waits(&api, &one).await, (json!("dependencies"), json!(text), Value::Null));
}

#[tokio::test]
async fn lane() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let second = api.job(&project, edit()).await;
    let third = api.job(&project, edit()).await;
    let urgent = api.job(&project, with(edit(), "priority", json!(5))).await;
    let held = |job: &str, detail: &str, position: i64| {
        let text =
            format!("its project is held by job {job} ({detail}); position {position} among those that wait for it");
        (json!("lane"), json!(text), json!(position))
    };
    assert_eq!(waits(&api, &urgent).await, held(&first, "queued", 1));
    assert_eq!(waits(&api, &second).await, held(&first, "queued", 2));
    let worker = Worker::start(&api, &["dummy"]).await;
    worker.claim(&first).await;
    assert_eq!(waits(&api, &third).await, held(&first, "materializing", 3));
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(api.job(&project, with(edit(), "read_only", json!(true))).await);
    }
    let text = format!(
        "its project has no free place: {first} (materializing), {} (queued), {} (queued); position 2 among those that wait for it",
        readers[0], readers[1]
    );
    assert_eq!(waits(&api, &readers[3]).await, (json!("lane"), json!(text), json!(2)));
}

#[tokio::test]
async fn back_off() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&first).await;
    let report = Report { detail: Some("the scratch disk is full".to_owned()), ..Report::default() };
    worker.finish(&first, attempt, Outcome::Infra, &report, None).await;
    sql(&api, "UPDATE job SET run_at = '2999-01-01' WHERE backing_off").await;
    let told = waiting(&api, &first).await;
    let text = "not before 2999-01-01T00:00:00.000Z: attempt 1 ended as infra (the scratch disk is full)";
    assert_eq!((&told["rule"], &told["message"]), (&json!("back_off"), &json!(text)));
    assert!(told["estimate_s"].as_i64().unwrap() > 30_000_000_000, "{told}");
    assert_eq!(api.get(&format!("/jobs/{first}")).await.text("status_detail"), "retrying");
    let reader = api.job(&project, with(edit(), "read_only", json!(true))).await;
    sql(&api, &format!("UPDATE job SET backing_off = true, run_at = '2999-01-01' WHERE id = '{reader}'")).await;
    let text = "not before 2999-01-01T00:00:00.000Z: a worker handed its ticket back";
    assert_eq!(waits(&api, &reader).await, (json!("back_off"), json!(text), Value::Null));
}

#[tokio::test]
async fn demands_nobody_meets() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let read_only = with(edit(), "read_only", json!(true));
    let job = api.job(&project, read_only).await;
    sql(&api, "UPDATE job SET state = 'succeeded', finished_at = now() WHERE job_type = 'initial_project'").await;
    let rule = async |rule: &str, text: &str| {
        assert_eq!(waits(&api, &job).await, (json!(rule), json!(text), Value::Null));
    };
    rule("no_worker", "pool 'default' has no live worker").await;
    let _one = Worker::start(&api, &["codex"]).await;
    let _two = Worker::start(&api, &["codex", "other"]).await;
    rule("no_agent", "no worker of pool 'default' offers agent 'dummy' (of 2 live)").await;
    let _three = Worker::start(&api, &["dummy"]).await;
    sql(&api, "UPDATE job SET min_isolation = 'vm', requires = '{\"gpu\": \"a100\", \"zone\": \"eu\"}'").await;
    rule(
        "no_isolation",
        "no worker of pool 'default' that offers agent 'dummy' has isolation 'vm' or better (of 1 live)",
    )
    .await;
    sql(&api, "UPDATE worker SET isolation = 'vm', labels = '{\"gpu\": \"a100\"}'").await;
    rule("no_labels", "no worker of pool 'default' that could run it carries gpu=a100 and zone=eu (of 1 live)").await;
    sql(&api, "UPDATE worker SET isolation = 'none'; UPDATE job SET job_type = 'command', argv = '{true}'").await;
    rule("no_isolation", "no worker of pool 'default' has isolation 'vm' or better (of 3 live)").await;
    sql(&api, "UPDATE worker SET lease_until = now()").await;
    rule("no_worker", "pool 'default' has no live worker").await;
}

#[tokio::test]
async fn limits_slots_and_leaders() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, ready) = api.project().await;
    let (_, next) = api.project().await;
    let rule = async |job: &str, rule: &str, text: &str, position: i64| {
        assert_eq!(waits(&api, job).await, (json!(rule), json!(text), json!(position)));
    };
    rule(&ready, "no_dispatcher", "no dispatcher leads, so nothing is admitted", 1).await;
    sql(&api, "INSERT INTO leader VALUES ('fleet', gen_random_uuid(), 1, now() + interval '1 h')").await;
    let text = "pool 'default' has room: 0 of 4 slots taken; position 2 among its tenant's";
    rule(&next, "admission", text, 2).await;
    for _ in 0..4 {
        let (_, job) = api.project().await;
        worker.claim(&job).await;
    }
    let full = "pool 'default' is full: 4 of 4 slots of 1 worker taken, 4 by its tenant, whose share is 4; position 2 among its tenant's";
    rule(&next, "pool_full", full, 2).await;
    sql(
        &api,
        "INSERT INTO tenant (id, name, weight) VALUES (gen_random_uuid(), 'other', 3);
               UPDATE job SET tenant_id = (SELECT id FROM tenant WHERE name = 'other')
                WHERE id = (SELECT id FROM job WHERE state = 'running' LIMIT 1)",
    )
    .await;
    let full = "pool 'default' is full: 4 of 4 slots of 1 worker taken, 3 by its tenant, whose share is 1; position 1 among its tenant's";
    rule(&ready, "pool_full", full, 1).await;
    sql(&api, "UPDATE tenant SET max_running = 3 WHERE name = 'default'").await;
    rule(&ready, "tenant_limit", "its tenant has 3 of the 3 jobs it may run at a time", 1).await;
}

#[tokio::test]
async fn an_estimate_comes_from_what_started_of_late() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, ready) = api.project().await;
    let (_, next) = api.project().await;
    sql(&api, "INSERT INTO leader VALUES ('fleet', gen_random_uuid(), 1, now() + interval '1 h')").await;
    for started in 1..=4 {
        assert_eq!(waiting(&api, &ready).await["estimate_s"].is_null(), started <= 3, "{started}");
        let (_, job) = api.project().await;
        worker.claim(&job).await;
    }
    // Four in 400 s: one every hundred. A slow machine adds seconds.
    sql(&api, "UPDATE attempt SET started_at = now() - interval '400 s'").await;
    assert!((100..=105).contains(&waiting(&api, &ready).await["estimate_s"].as_i64().unwrap()));
    assert!((200..=210).contains(&waiting(&api, &next).await["estimate_s"].as_i64().unwrap()));
    sql(&api, "UPDATE attempt SET started_at = now() - interval '11 min'").await;
    assert!(waiting(&api, &next).await["estimate_s"].is_null(), "too long ago");
}

#[tokio::test]
async fn admitted() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    sql(&api, "UPDATE job SET state = 'dispatched', dispatched_at = '2026-01-01'").await;
    let text = "its ticket is out since 2026-01-01T00:00:00.000Z, for a worker to take";
    assert_eq!(waits(&api, &job).await, (json!("admitted"), json!(text), Value::Null));
    sql(&api, "UPDATE job SET redispatches = 2").await;
    let text = "its ticket is out since 2026-01-01T00:00:00.000Z, sent again 2 times, for a worker to take";
    assert_eq!(waits(&api, &job).await, (json!("admitted"), json!(text), Value::Null));
}

#[tokio::test]
async fn what_does_not_wait_says_nothing() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&job).await;
    assert!(waiting(&api, &job).await.is_null());
    worker.finish(&job, attempt, Outcome::Failed, &Report::default(), None).await;
    assert!(waiting(&api, &job).await.is_null());
    assert!(job::waiting(&api.database.client().await.unwrap(), JobId::generate()).await.unwrap().is_none());
}
