//! Stopping workers: what can finish does, the rest is handed back uncharged, and the process ends in time.

use std::time::{Duration, Instant};

use drydock_testing::until;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{id, shell},
};

/// One worker with three slots, and three jobs that run: short, long, and deaf to SIGTERM.
async fn three_jobs(drain: &str) -> (Stack, String, [String; 3]) {
    let settings = vec![("DRYDOCK_DRAIN_TIMEOUT", drain.to_owned())];
    let stack = Stack::with(Options { workers: Some(1), slots: Some(3), settings, ..Options::default() }).await;
    let mark = stack.scratch.path().join("marks");
    fs_err::create_dir(&mark).unwrap();
    let place = mark.display();
    let scripts = [
        format!("touch {place}/short; while [ ! -e {place}/end ]; do sleep 0.01; done; echo x > x.txt"),
        format!("touch {place}/long; sleep 300"),
        format!("trap '' TERM; touch {place}/deaf; while :; do sleep 1; done"),
    ];
    let idle = id(&stack.client.project(json!({"instruction": "an app for later"})).await);
    let mut jobs = Vec::new();
    for script in scripts {
        let project = id(&stack.client.project(json!({"instruction": "an app to stop"})).await);
        jobs.push(stack.client.submit(&project, shell(&script)).await);
    }
    for name in ["short", "long", "deaf"] {
        until("the agent runs", PATIENCE, || async { mark.join(name).exists().then_some(()) }).await;
    }
    (stack, idle, jobs.try_into().unwrap())
}

async fn outcome(stack: &Stack, job: &str) -> Value {
    stack.client.get(&format!("/jobs/{job}")).await["attempts"][0]["outcome"].clone()
}

#[tokio::test]
async fn t33_short_jobs_finish_others_are_handed_back_and_the_worker_ends_in_time() {
    let (mut stack, project, [short, long, deaf]) = three_jobs("3s").await;
    stack.workers[0].signal(Signal::TERM);
    let asked = Instant::now();
    // Accepted while it stops: not for this worker.
    let late = stack.client.submit(&project, shell("true")).await;
    fs_err::write(stack.scratch.path().join("marks/end"), "").unwrap();
    assert!(stack.workers[0].ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert_eq!(outcome(&stack, &short).await, "succeeded");
    assert_eq!(
        (outcome(&stack, &long).await, outcome(&stack, &deaf).await),
        (json!("interrupted"), json!("interrupted"))
    );
    assert_eq!(outcome(&stack, &late).await, Value::Null);
    stack.await_clean().await;
}

#[tokio::test]
async fn a_second_signal_stops_agents_at_once_and_their_jobs_are_handed_back_all_the_same() {
    let (mut stack, _, jobs) = three_jobs("5m").await;
    stack.workers[0].signal(Signal::TERM);
    until("it drains", PATIENCE, || async { stack.process_logs().contains("draining").then_some(()) }).await;
    stack.workers[0].signal(Signal::TERM);
    let asked = Instant::now();
    assert!(stack.workers[0].ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    for job in &jobs {
        assert_eq!(outcome(&stack, job).await, "interrupted");
    }
}

#[tokio::test]
async fn t34_a_ticket_that_reaches_a_draining_worker_is_taken_elsewhere() {
    // Nobody sends a ticket again in the time of this test.
    let settings = vec![("DRYDOCK_CLAIM_TIMEOUT", "10m".to_owned())];
    let stack = Stack::with(Options { settings, ..Options::default() }).await;
    let client = stack.database.client().await.unwrap();
    // As seen by a worker whose SIGTERM is a moment old: its consumer still stands.
    let drain = "UPDATE worker SET draining = true WHERE instance LIKE '%worker-1'";
    assert_eq!(client.execute(drain, &[]).await.unwrap(), 1);
    let project = id(&stack.client.project(json!({"instruction": "an app for the other"})).await);
    for _ in 0..4 {
        let ended = stack.client.run(&project, shell("true")).await;
        assert_eq!(ended["status"], "completed", "{ended}");
        let attempts = ended["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{ended}");
        assert!(attempts[0]["worker"].as_str().unwrap().ends_with("worker-2"), "{ended}");
    }
}
