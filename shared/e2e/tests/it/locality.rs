//! A job runs where its base version is, if there is a slot, and elsewhere soon if not.

use std::time::Duration;

use drydock_domain::{Dispatch, JobId, Ticket};
use drydock_queue::Publisher;
use drydock_testing::until;
use rustix::process::Signal;
use serde_json::json;
use uuid::Uuid;

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{id, shell},
};

/// Two workers with a slot each, and a project whose first version one of them made; which.
async fn with_project(settings: &[(&'static str, &str)]) -> (Stack, String, usize) {
    // On a busy machine an offer takes its time.
    let settings = [("DRYDOCK_LOCALITY_WAIT", "30s")].iter().chain(settings);
    let settings = settings.map(|(name, value)| (*name, (*value).to_owned())).collect();
    let stack = Stack::with(Options { slots: Some(1), settings, ..Options::default() }).await;
    all_listen(&stack).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to come back to"})).await);
    let made = stack.client.run(&project, shell("echo one > one.txt")).await;
    let maker = stack.holder(&id(&made)).await;
    (stack, project, maker)
}

/// Awaits that every worker hears what it is offered: of an offer it does not hear, the pool is told.
async fn all_listen(stack: &Stack) {
    let client = stack.database.client().await.unwrap();
    for row in client.query("SELECT id FROM worker", &[]).await.unwrap() {
        let near = Some(row.get::<_, Uuid>(0).into());
        until("the worker listens", PATIENCE, || async {
            let ticket = Ticket::new(JobId::generate(), 1, stack.pool().to_owned(), 0);
            let offered = Publisher::new(drydock_testing::broker()).publish(vec![Dispatch { ticket, near }]).await;
            (offered.confirmed.len() == 1).then_some(())
        })
        .await;
    }
}

async fn dispatches(stack: &Stack, job: &str) -> i32 {
    let client = stack.database.client().await.unwrap();
    let job = job.parse::<Uuid>().unwrap();
    client.query_one("SELECT dispatch_seq FROM job WHERE id = $1", &[&job]).await.unwrap().get(0)
}

/// Awaits that the trees of both of the project's versions are advertised.
async fn advertised(stack: &Stack) {
    until("the workers say what they hold", PATIENCE, || async {
        let client = stack.database.client().await.ok()?;
        let held = "SELECT count(DISTINCT v.number) FROM version v JOIN held_tree h USING (tenant_id, tree_id)";
        let held = held
            .replace("version v", "(SELECT v.*, p.tenant_id FROM version v JOIN project p ON p.id = v.project_id) v");
        (client.query_one(&held, &[]).await.ok()?.get::<_, i64>(0) >= 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_where_their_base_version_is() {
    let (stack, project, maker) = with_project(&[]).await;
    for round in 0..6 {
        let job = id(&stack.client.run(&project, shell(&format!("echo {round} > round.txt"))).await);
        assert_eq!((stack.holder(&job).await, dispatches(&stack, &job).await), (maker, 1), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_runs_where_the_tree_is_that_it_was_made_from() {
    let (stack, project, maker) = with_project(&[]).await;
    advertised(&stack).await;
    let workers = stack.client.get("/workers").await;
    let held: i64 =
        workers["items"].as_array().unwrap().iter().filter_map(|worker| worker["held_trees"].as_i64()).sum();
    assert!(held >= 2, "{workers}");
    for _ in 0..4 {
        let (status, fork) =
            stack.client.send(reqwest::Method::POST, &format!("/projects/{project}/fork"), Some(json!({}))).await;
        assert_eq!(status, 201, "{fork}");
        let job = id(&stack.client.run(&id(&fork), shell("cat one.txt")).await);
        assert_eq!(stack.holder(&job).await, maker);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_slot_is_not_waited_for() {
    let (stack, project, maker) = with_project(&[("DRYDOCK_LOCALITY_WAIT", "10m")]).await;
    let reading = |script: &str| {
        let mut job = shell(script);
        job["read_only"] = json!(true);
        job
    };
    let end = stack.scratch.path().join("end");
    let long = format!("while [ ! -e {} ]; do sleep 0.05; done", end.display());
    let first = stack.client.submit(&project, reading(&long)).await;
    stack.client.reaches(&first, "running").await;
    assert_eq!(stack.holder(&first).await, maker);
    let second = id(&stack.client.run(&project, reading("cat one.txt")).await);
    assert_ne!(stack.holder(&second).await, maker);
    fs_err::write(end, "").unwrap();
    stack.client.ended(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_nobody_answers_goes_to_the_pool() {
    let (stack, project, maker) =
        with_project(&[("DRYDOCK_LOCALITY_WAIT", "200ms"), ("DRYDOCK_CLAIM_TIMEOUT", "1s")]).await;
    stack.workers[maker].signal(Signal::STOP);
    let job = id(&stack.client.run(&project, shell("cat one.txt")).await);
    assert_ne!(stack.holder(&job).await, maker);
    assert!(dispatches(&stack, &job).await >= 2);
    stack.workers[maker].signal(Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_that_is_gone_was_offered_goes_to_the_pool_at_once() {
    let (mut stack, project, maker) = with_project(&[("DRYDOCK_LOCALITY_WAIT", "10m")]).await;
    // Its row lives on, but nothing hears for it.
    drop(stack.workers.remove(maker));
    let began = std::time::Instant::now();
    let job = id(&stack.client.run(&project, shell("cat one.txt")).await);
    assert_eq!(dispatches(&stack, &job).await, 2);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_are_busy_the_next_jobs_version_is_brought() {
    let (mut stack, project, maker) = with_project(&[]).await;
    let (gone, left) = (stack.workers.remove(maker), stack.workers.len());
    gone.signal(Signal::TERM);
    until("the worker is over", PATIENCE, || async {
        let client = stack.database.client().await.ok()?;
        let live = "SELECT count(*) FROM worker WHERE ended_at IS NULL";
        (client.query_one(live, &[]).await.ok()?.get::<_, i64>(0) == i64::try_from(left).unwrap()).then_some(())
    })
    .await;
    let other = id(&stack.client.project(json!({"instruction": "an app that takes its time"})).await);
    let end = stack.scratch.path().join("end");
    let long =
        stack.client.submit(&other, shell(&format!("while [ ! -e {} ]; do sleep 0.05; done", end.display()))).await;
    stack.client.reaches(&long, "running").await;
    let waiting = stack.client.submit(&project, shell("cat one.txt")).await;
    advertised(&stack).await;
    assert_eq!(stack.client.get(&format!("/jobs/{waiting}")).await["status"], "queued");
    fs_err::write(end, "").unwrap();
    assert_eq!(stack.client.ended(&waiting).await["status"], "completed");
}
