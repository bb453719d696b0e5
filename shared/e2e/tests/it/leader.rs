//! What only the leader does, while leaders change and leases run out: take back what dead workers had, and fire schedules.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use drydock_database::{
    Client as Sql, job,
    worker::{self, NewWorker},
};
use drydock_domain::{AttemptId, Isolation, WorkerId};
use drydock_runtime::tasks;
use drydock_testing::until;
use serde_json::{Value, json};

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{id, shell},
};

const TTL: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(1);
const HELD: &str = "drydock_dispatcher_reaping_held";

async fn stack(workers: usize, more: &[(&'static str, &str)]) -> Stack {
    let settings = [("DRYDOCK_LEASE_TTL", "2s"), ("DRYDOCK_LEASE_GRACE", "1s"), ("DRYDOCK_LEAD_TTL", "1s")];
    let settings = settings.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Stack::with(Options { workers: Some(workers), settings, ..Options::default() }).await
}

async fn number(sql: &Sql, query: &str) -> i64 {
    sql.query_one(query, &[]).await.unwrap().get(0)
}

/// Hosts as the database knows them: a row, and renewals until they are cut off.
struct Hosts {
    ids: Vec<WorkerId>,
    cut: Arc<AtomicBool>,
    renewing: tokio::task::JoinHandle<()>,
}

impl Hosts {
    /// `count` hosts, of which the first `fragile` can be cut off.
    async fn start(stack: &Stack, count: usize, fragile: usize) -> Self {
        let sql = stack.database.client().await.unwrap();
        let mut ids = Vec::new();
        for number in 0..count {
            let host = NewWorker {
                id: WorkerId::generate(),
                instance: format!("host-{number}"),
                pool: stack.pool().to_owned(),
                slots: 1,
                session_slots: 1,
                agents: vec!["dummy".to_owned()],
                labels: json!({}),
                isolation: Isolation::None,
                rung: "copy".to_owned(),
                refused_rungs: serde_json::json!({}),
                build: "test".to_owned(),
            };
            worker::start(&sql, &host, TTL).await.unwrap();
            ids.push(host.id);
        }
        let (cut, renewed) = (Arc::new(AtomicBool::new(false)), ids.clone());
        let seen = cut.clone();
        let renewing = tasks::spawn("renewals", async move {
            loop {
                let skipped = if seen.load(Ordering::Relaxed) { fragile } else { 0 };
                for id in &renewed[skipped..] {
                    worker::renew(&sql, *id, TTL, &[]).await.unwrap();
                }
                tokio::time::sleep(TTL / 10).await;
            }
        });
        Self { ids, cut, renewing }
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// `host` claims the one job there is.
async fn claims(sql: &Sql, host: WorkerId) {
    until("it claims", PATIENCE, || async {
        let ticket = job::pull(sql, host, 1).await.unwrap().pop()?;
        let claimed = job::claim(sql, &ticket, AttemptId::generate(), host, "/nowhere").await.unwrap();
        matches!(claimed, job::Claimed::Mine(_)).then_some(())
    })
    .await;
}

async fn reaping_is_held(stack: &Stack, held: bool) {
    let what = if held { "reaping is held" } else { "reaping is held no more" };
    until(what, PATIENCE, || async { ((stack.dispatchers_say(HELD).await? > 0.5) == held).then_some(()) }).await;
}

const ENDED: &str = "SELECT count(*) FROM worker WHERE ended_at IS NOT NULL";
const SPREAD: &str = "UPDATE worker SET lease_until = clock_timestamp() + substr(instance, 6)::int * interval '180 ms'
  WHERE instance IN ('host-0', 'host-1', 'host-2', 'host-3', 'host-4')";
const LOST: &str = "SELECT count(*) FROM attempt WHERE state = 'lost'";

/// Red when there is no such guard, when it counts only those that are over, when it holds for ever, and when it forgets that the
/// network came back in between.
#[tokio::test(flavor = "multi_thread")]
async fn t57_when_four_in_ten_workers_are_cut_off_at_once_nobody_is_over_for_two_leases() {
    let stack = stack(0, &[]).await;
    let hosts = Hosts::start(&stack, 12, 5).await;
    let (status, body) =
        stack.client.send(reqwest::Method::POST, "/projects", Some(json!({"instruction": "an app"}))).await;
    assert_eq!(status, 201, "{body}");
    let sql = stack.database.client().await.unwrap();
    claims(&sql, hosts.ids[0]).await;
    // The network comes back: nothing was lost.
    hosts.cut(true);
    // They had renewed one after another, and not all at once.
    sql.batch_execute(SPREAD).await.unwrap();
    reaping_is_held(&stack, true).await;
    assert!(stack.process_logs().contains("many workers let their lease run out together"));
    hosts.cut(false);
    reaping_is_held(&stack, false).await;
    assert_eq!((number(&sql, ENDED).await, number(&sql, LOST).await), (0, 0));
    // It does not: they are over after all, two leases later.
    hosts.cut(true);
    reaping_is_held(&stack, true).await;
    let held = Instant::now();
    until("the five are over", PATIENCE, || async { (number(&sql, ENDED).await == 5).then_some(()) }).await;
    assert!(held.elapsed() > TTL * 2 - TTL / 4, "held for {:?} only", held.elapsed());
    until("what they ran is taken back", PATIENCE, || async { (number(&sql, LOST).await == 1).then_some(()) }).await;
    reaping_is_held(&stack, false).await;
    let back = "SELECT count(*) FROM job WHERE state IN ('queued', 'dispatched') AND losses = 1";
    assert_eq!((number(&sql, back).await, number(&sql, ENDED).await), (1, 5));
}

fn done(ended: &Value) {
    assert_eq!(
        (&ended["status"], &ended["attempts"][0]["outcome"]),
        (&json!("completed"), &json!("succeeded")),
        "{ended}"
    );
}

/// Red when a leader judges leases from the start (`Reaper::leases_mean_something` always true).
#[tokio::test(flavor = "multi_thread")]
async fn t56_while_leaders_are_killed_jobs_go_on_and_nobody_is_declared_over() {
    let amnesty = TTL * 2 + GRACE;
    let mut stack = stack(1, &[("DRYDOCK_LEASE_TTL", "4s")]).await;
    let sql = stack.database.client().await.unwrap();
    let project = id(&stack.client.project(json!({"instruction": "an app under many leaders"})).await);
    // A host whose lease ran out long ago, as far as its row tells.
    let hosts = Hosts::start(&stack, 1, 1).await;
    hosts.cut(true);
    let expire = "UPDATE worker SET lease_until = '-infinity' WHERE instance = 'host-0'";
    sql.execute(expire, &[]).await.unwrap();
    let mut killed = Instant::now();
    for _ in 0..4 {
        let leader = stack.leader().await;
        stack.dispatchers[leader].kill();
        killed = Instant::now();
        stack.dispatchers[leader].restart();
        done(&stack.client.run(&project, shell("true")).await);
        assert!(killed.elapsed() < amnesty, "this machine is too slow for this test: {:?}", killed.elapsed());
        assert_eq!(number(&sql, ENDED).await, 0, "no leader has led for long enough to know");
    }
    until("the last leader declares it over", PATIENCE, || async { (number(&sql, ENDED).await == 1).then_some(()) })
        .await;
    assert!(killed.elapsed() >= amnesty, "{:?}", killed.elapsed());
}

/// Red when a time that is to be skipped fires.
#[tokio::test(flavor = "multi_thread")]
async fn t58_a_schedule_fires_once_for_missed_times_whoever_leads() {
    let mut stack = stack(1, &[]).await;
    let sql = stack.database.client().await.unwrap();
    let project = id(&stack.client.project(json!({"instruction": "an app by the clock"})).await);
    // Hourly, half an hour from now: the missed times are well past, and none comes meanwhile.
    let minute = number(&sql, "SELECT extract(minute FROM now() + interval '30 minutes')::bigint").await;
    for missed in ["once", "skip"] {
        let cron = format!("{minute} * * * *");
        let body = json!({"name": missed, "project_id": project, "cron": cron, "missed": missed,
                          "job": {"job_type": "command", "argv": ["true"]}});
        let (status, body) = stack.client.send(reqwest::Method::POST, "/schedules", Some(body)).await;
        assert_eq!(status, 201, "{body}");
    }
    for round in 1..=3 {
        // Nobody leads for a moment, and three times were missed meanwhile.
        let leader = stack.leader().await;
        stack.dispatchers[leader].kill();
        let hours = 3 + 4 * (3 - round);
        let miss = format!("UPDATE schedule SET next_at = next_at - interval '{hours} hours'");
        sql.execute(&miss, &[]).await.unwrap();
        stack.dispatchers[leader].restart();
        until("both have a time to come", PATIENCE, || async {
            (number(&sql, "SELECT count(*) FROM schedule WHERE next_at > now()").await == 2).then_some(())
        })
        .await;
        let by = |name| {
            format!("SELECT count(*) FROM job j JOIN schedule s ON s.id = j.schedule_id WHERE s.name = '{name}'")
        };
        let fired = (number(&sql, &by("once")).await, number(&sql, &by("skip")).await);
        assert_eq!(fired, (round, 0), "one for all that was missed, or none");
    }
    let left = "SELECT count(*) FROM job WHERE state <> 'succeeded'";
    until("all of them ran", PATIENCE, || async { (number(&sql, left).await == 0).then_some(()) }).await;
}

/// Red when the dispatcher's loop `hints` is not started.
#[tokio::test(flavor = "multi_thread")]
async fn t37_the_leader_tells_the_worker_of_a_cancel_long_before_its_next_renewal() {
    let stack = stack(1, &[("DRYDOCK_LEASE_TTL", "120s")]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to cancel"})).await);
    let job = stack.client.submit(&project, shell("sleep 300")).await;
    // The renewal that tells of the phase comes first, or it would bring the cancel.
    stack.client.reaches(&job, "running").await;
    let asked = Instant::now();
    let (status, body) = stack.client.send(reqwest::Method::POST, &format!("/jobs/{job}/cancel"), None).await;
    assert!(status.is_success(), "{status} {body}");
    let ended = stack.client.ended(&job).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
