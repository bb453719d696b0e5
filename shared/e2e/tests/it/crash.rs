//! A worker that dies while its agent runs: the job finishes elsewhere, or with its successor, once.

use drydock_testing::until;
use serde_json::json;

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{id, shell},
};

#[tokio::test]
async fn a_job_of_a_killed_worker_finishes_on_the_other_with_one_version() {
    let mut stack = Stack::start().await;
    let project = id(&stack.client.project(json!({"instruction": "an app to crash with"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    let script =
        format!("if [ ! -e {place}/once ]; then echo $$ > {place}/once; exec sleep 300; fi; echo second > done.txt");
    let job = stack.client.submit(&project, shell(&script)).await;
    drydock_testing::until("the agent runs", crate::stack::PATIENCE, || async {
        mark.path().join("once").exists().then_some(())
    })
    .await;

    let shown = stack.client.get(&format!("/jobs/{job}")).await;
    let instance = shown["attempts"][0]["worker"].as_str().unwrap().to_owned();
    let holder = if instance.ends_with("worker-1") { 0 } else { 1 };
    stack.workers[holder].kill();

    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], &ended["created_files"]), (&json!("completed"), &json!(["done.txt"])), "{ended}");
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!(
        attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect::<Vec<_>>(),
        ["lost", "succeeded"]
    );
    assert_ne!(attempts[1]["worker"], json!(instance));
    let versions = stack.client.get(&format!("/projects/{project}/versions")).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2, "the initial one and one more: {versions}");

    // Its successor removes what it left, the agent that outlived it included.
    let agent: i32 = fs_err::read_to_string(mark.path().join("once")).unwrap().trim().parse().unwrap();
    stack.workers[holder].restart();
    stack.await_clean().await;
    drydock_testing::until("the orphaned agent is gone", crate::stack::PATIENCE, || async {
        (!std::path::Path::new(&format!("/proc/{agent}/cwd")).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stopped_worker_hands_its_job_back_uncharged() {
    let mut stack = Stack::with(crate::stack::Options {
        settings: vec![("DRYDOCK_DRAIN_TIMEOUT", "100ms".to_owned())],
        ..crate::stack::Options::default()
    })
    .await;
    let project = id(&stack.client.project(json!({"instruction": "an app to drain"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    let job = stack
        .client
        .submit(&project, shell(&format!("if mkdir {place}/once; then sleep 300; fi; echo second > done.txt")))
        .await;
    drydock_testing::until("the agent runs", crate::stack::PATIENCE, || async {
        mark.path().join("once").exists().then_some(())
    })
    .await;
    let shown = stack.client.get(&format!("/jobs/{job}")).await;
    let holder = if shown["attempts"][0]["worker"].as_str().unwrap().ends_with("worker-1") { 0 } else { 1 };
    stack.workers[holder].signal(rustix::process::Signal::TERM);
    assert!(stack.workers[holder].ended().await.success());
    let ended = stack.client.ended(&job).await;
    let outcomes: Vec<_> =
        ended["attempts"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!((&ended["status"], outcomes), (&json!("completed"), vec![json!("interrupted"), json!("succeeded")]));
    stack.await_clean().await;
}

/// Red when a worker starts without ending what its predecessor left running. The lease is too long for anything but the start to
/// free the job.
#[tokio::test]
async fn t24_a_worker_that_starts_again_ends_its_strays_and_gets_the_job_at_once() {
    let settings = vec![("DRYDOCK_LEASE_TTL", "60s".to_owned()), ("DRYDOCK_LEASE_GRACE", "15s".to_owned())];
    let mut stack = Stack::with(Options { workers: Some(1), settings, ..Options::default() }).await;
    let project = id(&stack.client.project(json!({"instruction": "an app that is in two places"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    // Out of its process group, so that only the sweep finds it.
    let script = format!(
        "if mkdir {place}/once; then setsid sleep 300 & echo $! > {place}/new && mv {place}/new {place}/stray; sleep 300; fi; \
         if [ -e /proc/$(cat {place}/stray)/cwd ]; then touch {place}/together; fi; echo second > done.txt"
    );
    let job = stack.client.submit(&project, shell(&script)).await;
    until("the agent runs", PATIENCE, || async { mark.path().join("stray").exists().then_some(()) }).await;
    stack.workers[0].kill();
    stack.workers[0].restart();
    let ended = stack.client.ended(&job).await;
    let outcomes: Vec<_> =
        ended["attempts"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!((&ended["status"], outcomes), (&json!("completed"), vec![json!("lost"), json!("succeeded")]), "{ended}");
    assert!(!mark.path().join("together").exists(), "the first attempt's process was alive in the second");
    let sql = stack.database.client().await.unwrap();
    let soon = "SELECT extract(epoch FROM a.started_at - w.started_at)::float8, (SELECT count(*) FROM worker WHERE ended_at IS NULL)
        FROM attempt a JOIN worker w ON w.id = a.worker_id WHERE a.job_id = $1::text::uuid AND a.number = 2";
    let row = sql.query_one(soon, &[&job]).await.unwrap();
    let (seconds, living): (f64, i64) = (row.get(0), row.get(1));
    assert!(seconds <= 3.0, "{seconds} s from its start to the second attempt");
    assert_eq!(living, 1, "the one before it is over");
}
