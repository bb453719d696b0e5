//! A worker that loses contact: what it runs stands still, goes on, or dies, and what it finished is not lost.

use std::{path::Path, time::Duration};

use drydock_domain::WorkerId;
use drydock_testing::{Proxy, setting, until};
use rustix::process::Signal;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    outages::through_proxy,
    stack::{
        Options, PATIENCE, Stack,
        client::{id, shell},
    },
};

/// One worker whose way to PostgreSQL alone goes through a proxy.
async fn one_worker_apart(settings: &[(&'static str, &str)]) -> (Proxy, Stack) {
    let database = drydock_testing::database().await;
    let (proxy, url) = through_proxy(database.fleet_url().expose_secret()).await;
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let worker_settings = vec![("DRYDOCK_DATABASE_URL", url)];
    let options = Options { workers: Some(1), settings, worker_settings, ..Options::default() };
    (proxy, Stack::on(database, options).await)
}

pub(crate) async fn appears(path: &Path) -> String {
    until(&format!("{} is there", path.display()), PATIENCE, || async {
        fs_err::read_to_string(path).ok().filter(|text| !text.trim().is_empty())
    })
    .await
}

/// Counts until told to end; a second attempt ends at once.
pub(crate) fn counting(place: &Path) -> String {
    let place = place.display();
    format!(
        "if ! mkdir {place}/once; then echo second > done.txt; exit; fi; echo $$ > {place}/pid; i=0; \
         while [ ! -e {place}/end ]; do i=$((i+1)); echo $i > {place}/new; mv {place}/new {place}/count; sleep 0.01; done; \
         echo first > done.txt"
    )
}

/// Stopped by a signal, and therefore silent. A shell caught between vfork(2) and its child's execve(2) waits for a child
/// that is stopped instead.
pub(crate) async fn stands_still(place: &Path) {
    let pid = appears(&place.join("pid")).await;
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    let count = || fs_err::read_to_string(place.join("count")).unwrap();
    until("the agent is stopped", PATIENCE, || async {
        let before = count();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stat = fs_err::read_to_string(&stat).unwrap();
        let stopped = stat.contains(") T ") || stat.contains(") D ");
        (stopped && count() == before).then_some(())
    })
    .await;
}

async fn is_gone(pid: &str) {
    let proc = Path::new("/proc").join(pid.trim()).join("cwd");
    until("the agent is gone", PATIENCE, || async { (!proc.exists()).then_some(()) }).await;
}

pub(crate) fn outcomes(job: &Value) -> Vec<&str> {
    job["attempts"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].as_str().unwrap_or("none")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t29_an_agent_without_a_lease_stands_still_and_goes_on_when_it_is_still_ours() {
    let (proxy, stack) = one_worker_apart(&[("DRYDOCK_LEASE_GRACE", "30s")]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to freeze"})).await);
    let mark = tempfile::tempdir().unwrap();
    let job = stack.client.submit(&project, shell(&counting(mark.path()))).await;
    appears(&mark.path().join("count")).await;
    proxy.cut();
    stands_still(mark.path()).await;
    let before = appears(&mark.path().join("count")).await;
    proxy.heal();
    until("it goes on", PATIENCE, || async {
        (fs_err::read_to_string(mark.path().join("count")).unwrap() != before).then_some(())
    })
    .await;
    fs_err::write(mark.path().join("end"), "").unwrap();
    let ended = stack.client.ended(&job).await;
    assert_eq!((outcomes(&ended), &ended["created_files"]), (vec!["succeeded"], &json!(["done.txt"])), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_an_agent_whose_attempt_was_taken_back_dies_on_contact() {
    let (proxy, stack) = one_worker_apart(&[]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to lose"})).await);
    let mark = tempfile::tempdir().unwrap();
    let job = stack.client.submit(&project, shell(&counting(mark.path()))).await;
    let pid = appears(&mark.path().join("pid")).await;
    appears(&mark.path().join("count")).await;
    proxy.cut();
    stands_still(mark.path()).await;
    until("it is taken back", PATIENCE, || async {
        (outcomes(&stack.client.get(&format!("/jobs/{job}")).await) == ["lost"]).then_some(())
    })
    .await;
    proxy.heal();
    is_gone(&pid).await;
    let ended = stack.client.ended(&job).await;
    assert_eq!(outcomes(&ended), ["lost", "succeeded"], "{ended}");
    stack.await_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t27_a_worker_that_slept_through_its_lease_kills_what_it_ran() {
    let stack = Stack::start().await;
    let project = id(&stack.client.project(json!({"instruction": "an app to oversleep"})).await);
    let mark = tempfile::tempdir().unwrap();
    let job = stack.client.submit(&project, shell(&counting(mark.path()))).await;
    let pid = appears(&mark.path().join("pid")).await;
    let shown = stack.client.get(&format!("/jobs/{job}")).await;
    let holder = if shown["attempts"][0]["worker"].as_str().unwrap().ends_with("worker-1") { 0 } else { 1 };
    stack.workers[holder].signal(Signal::STOP);
    let ended = stack.client.ended(&job).await;
    stack.workers[holder].signal(Signal::CONT);
    assert_eq!(outcomes(&ended), ["lost", "succeeded"], "{ended}");
    is_gone(&pid).await;
    stack.await_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_could_not_be_told_survives_the_worker_and_is_told_by_the_next() {
    let (proxy, mut stack) = one_worker_apart(&[("DRYDOCK_LEASE_TTL", "60s")]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to keep"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    let script = format!("echo run >> {place}/runs; while [ ! -e {place}/end ]; do sleep 0.01; done; echo x > x.txt");
    let job = stack.client.submit(&project, shell(&script)).await;
    appears(&mark.path().join("runs")).await;
    let spool = stack.scratch.path().join("worker-1/spool");
    let kept = || {
        let files = fs_err::read_dir(&spool).into_iter().flatten().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).count()
    };
    // Everything works but the finish: no fresh connection learns the shape of its answer.
    proxy.cut_reply(b"answer", u32::MAX);
    proxy.reset();
    fs_err::write(mark.path().join("end"), "").unwrap();
    until("the result is kept", PATIENCE, || async { (kept() == 1).then_some(()) }).await;
    stack.workers[0].kill();
    proxy.heal();
    stack.workers[0].restart();
    let ended = stack.client.ended(&job).await;
    assert_eq!(fs_err::read_to_string(mark.path().join("runs")).unwrap(), "run\n", "{ended}");
    assert_eq!(outcomes(&ended), ["succeeded"], "{ended}");
    until("nothing is kept", PATIENCE, || async { (kept() == 0).then_some(()) }).await;
}

/// Runs one job whose output and files find a server away until the worker has complained so often; answers the job and how
/// often its agent ran.
async fn ended_in_an_outage(proxy: &Proxy, stack: &Stack, complaint: &str, times: usize) -> (Value, usize) {
    let project = id(&stack.client.project(json!({"instruction": "an app to store"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    let script = format!(
        "echo run >> {place}/runs; while [ ! -e {place}/end ]; do sleep 0.01; done; echo late; \
             head -c 200000 /dev/urandom > more-than-a-row-takes"
    );
    let job = stack.client.submit(&project, shell(&script)).await;
    appears(&mark.path().join("runs")).await;
    proxy.cut();
    fs_err::write(mark.path().join("end"), "").unwrap();
    until("the worker has tried that often", PATIENCE, || async {
        (stack.process_logs().matches(complaint).count() >= times).then_some(())
    })
    .await;
    proxy.heal();
    (stack.client.ended(&job).await, fs_err::read_to_string(mark.path().join("runs")).unwrap().lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_without_storage_a_push_waits_and_the_agent_runs_once() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_S3_ENDPOINT")).await;
    let worker_settings = vec![("DRYDOCK_S3_ENDPOINT", url)];
    let stack = Stack::with(Options { workers: Some(1), worker_settings, ..Options::default() }).await;
    let (ended, runs) = ended_in_an_outage(&proxy, &stack, "failed to store the changed files, trying again", 2).await;
    assert_eq!((outcomes(&ended), runs), (vec!["succeeded"], 1), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t39_without_postgres_output_and_files_wait_and_the_agent_runs_once() {
    let (proxy, stack) = one_worker_apart(&[("DRYDOCK_LEASE_TTL", "60s")]).await;
    // More often than a log that is not merely away is tried.
    let (ended, runs) = ended_in_an_outage(&proxy, &stack, "failed to write a log, trying again", 10).await;
    assert_eq!((outcomes(&ended), runs), (vec!["succeeded"], 1), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_a_worker_without_rabbitmq_pulls_its_tickets() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_AMQP_URL")).await;
    let worker_settings = vec![("DRYDOCK_AMQP_URL", url), ("DRYDOCK_PULL_AFTER", "500ms".to_owned())];
    let options = Options { workers: Some(1), slots: Some(1), worker_settings, ..Options::default() };
    let stack = Stack::with(options).await;
    let project = id(&stack.client.project(json!({"instruction": "an app without a broker"})).await);
    proxy.cut();
    for name in ["one", "two"] {
        let ended = stack.client.run(&project, shell(&format!("echo x > {name}.txt"))).await;
        assert_eq!((&ended["status"], outcomes(&ended)), (&json!("completed"), vec!["succeeded"]), "{ended}");
    }
    proxy.heal();
    let ended = stack.client.run(&project, shell("echo x > three.txt")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t37_a_hint_brings_a_cancel_long_before_the_next_renewal() {
    let settings = vec![("DRYDOCK_LEASE_TTL", "90s".to_owned())];
    let stack = Stack::with(Options { workers: Some(1), slots: Some(1), settings, ..Options::default() }).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to cancel"})).await);
    let mark = tempfile::tempdir().unwrap();
    // The only slot is full: hints are heard nevertheless.
    let job = stack.client.submit(&project, shell(&counting(mark.path()))).await;
    appears(&mark.path().join("count")).await;
    // The renewal that tells of the phase comes first, or it would bring the cancel.
    until("the phase is told", PATIENCE, || async {
        (stack.client.get(&format!("/jobs/{job}")).await["status_detail"] == "running").then_some(())
    })
    .await;
    let client = stack.database.client().await.unwrap();
    let cancel = "UPDATE job SET cancel_at = clock_timestamp() WHERE id = $1";
    client.execute(cancel, &[&job.parse::<Uuid>().unwrap()]).await.unwrap();
    let worker: Uuid = client.query_one("SELECT id FROM worker WHERE ended_at IS NULL", &[]).await.unwrap().get(0);
    let mut publisher = drydock_queue::Publisher::new(drydock_testing::broker());
    publisher.hint(&[WorkerId::from(worker)]).await.unwrap();
    let asked = std::time::Instant::now();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], outcomes(&ended)), (&json!("cancelled"), vec!["canceled"]), "{ended}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_a_worker_without_storage_takes_no_jobs_until_it_answers() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_S3_ENDPOINT")).await;
    let worker_settings = vec![("DRYDOCK_S3_ENDPOINT", url)];
    let options = Options { workers: Some(1), slots: Some(3), worker_settings, ..Options::default() };
    let stack = Stack::with(options).await;
    let (mut projects, mut jobs) = (Vec::new(), Vec::new());
    for number in 0..3 {
        // Not on this node yet: what is there needs no storage.
        let tree = tempfile::tempdir().unwrap();
        fs_err::write(tree.path().join("f"), format!("content {number}")).unwrap();
        projects.push(crate::codex::import(&stack, tree.path(), "dummy").await);
    }
    proxy.cut();
    for project in &projects {
        jobs.push(stack.client.submit(project, shell("echo x > x.txt")).await);
    }
    until("the breaker opens", PATIENCE, || async { stack.process_logs().contains("taking no jobs").then_some(()) })
        .await;
    proxy.heal();
    for job in &jobs {
        let ended = stack.client.ended(job).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    assert!(stack.process_logs().contains("object storage answers again"));
}
