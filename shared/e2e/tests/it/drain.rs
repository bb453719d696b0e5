//! Stopping workers: what can finish does, the rest is handed back uncharged, and the process ends in time.

use std::time::{Duration, Instant};

use drydock_testing::until;
use reqwest::Method;
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

async fn asked(stack: &Stack, method: Method, path: &str) -> Value {
    let (status, worker) = stack.client.send(method, path, None).await;
    assert_eq!(status, 200, "{worker}");
    worker
}

/// What runs is finished, what waits goes to another worker, and the drained one stays, whatever becomes of the APIs, until it may take
/// jobs again. Its next start is not drained.
#[tokio::test]
async fn a_worker_that_an_operator_drains_finishes_and_stays_and_takes_none_until_it_may() {
    // Nobody sends a ticket again in the time of this test.
    let settings = vec![("DRYDOCK_CLAIM_TIMEOUT", "10m".to_owned())];
    let mut stack = Stack::with(Options { workers: Some(2), slots: Some(1), settings, ..Options::default() }).await;
    let mark = stack.scratch.path().join("mark");
    fs_err::create_dir(&mark).unwrap();
    let place = mark.display();
    let project = id(&stack.client.project(json!({"instruction": "an app to finish"})).await);
    let script = format!("touch {place}/runs; while [ ! -e {place}/end ]; do sleep 0.01; done; echo x > x.txt");
    let running = stack.client.submit(&project, shell(&script)).await;
    until("the agent runs", PATIENCE, || async { mark.join("runs").exists().then_some(()) }).await;
    let drained = stack.holder(&running).await;
    let other = 1 - drained;
    let workers = stack.client.get("/workers").await;
    let mut workers = workers["items"].as_array().unwrap().iter();
    let name = format!("worker-{}", drained + 1);
    let worker = id(workers.find(|worker| worker["instance"].as_str().unwrap().ends_with(&name)).unwrap());
    let path = format!("/workers/{worker}");
    let drain = format!("{path}/drain");
    assert_eq!(asked(&stack, Method::POST, &drain).await["state"], "draining");
    // The other one takes them, one after the other.
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let project = id(&stack.client.project(json!({"instruction": "an app for the other"})).await);
        waiting.push(stack.client.submit(&project, shell("true")).await);
    }
    for job in &waiting {
        assert_eq!(stack.client.ended(job).await["status"], "completed");
        assert_eq!(stack.holder(job).await, other);
    }
    assert_eq!(stack.client.get(&path).await["state"], "draining");
    stack.restart_apis().await;
    fs_err::write(mark.join("end"), "").unwrap();
    let ended = stack.client.ended(&running).await;
    assert_eq!((&ended["status"], &ended["version"]), (&json!("completed"), &json!(2)), "{ended}");
    until("it is drained", PATIENCE, || async { (stack.client.get(&path).await["state"] == "drained").then_some(()) })
        .await;
    // With nobody else there they wait, and the worker lives on.
    stack.workers[other].signal(Signal::TERM);
    assert!(stack.workers[other].ended().await.success());
    let late = stack.client.submit(&project, shell("true")).await;
    let says = "asked to drain: taking no more jobs";
    until("it has heard", PATIENCE, || async { stack.process_logs().contains(says).then_some(()) }).await;
    until("the job waits for a worker", PATIENCE, || async {
        let job = stack.client.get(&format!("/jobs/{late}")).await;
        (job["status_detail"] == "queued" && job["waiting"]["rule"] == "no_worker").then_some(())
    })
    .await;
    assert!(stack.workers[drained].has_ended().is_none());
    let undrained = asked(&stack, Method::DELETE, &drain).await;
    assert_eq!(undrained["state"], "live");
    assert_eq!(stack.client.ended(&late).await["status"], "completed");
    assert_eq!(stack.holder(&late).await, drained);
    // A new process is another worker.
    asked(&stack, Method::POST, &drain).await;
    stack.workers[drained].signal(Signal::TERM);
    assert!(stack.workers[drained].ended().await.success());
    stack.workers[drained].restart();
    let fresh = stack.client.submit(&project, shell("true")).await;
    assert_eq!(stack.client.ended(&fresh).await["status"], "completed");
}
