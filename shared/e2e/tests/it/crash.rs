//! A worker that dies while its agent runs: the job finishes elsewhere, once.

use serde_json::json;

use crate::stack::{
    Stack,
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
