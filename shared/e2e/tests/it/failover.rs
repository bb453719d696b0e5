//! PostgreSQL fails over to its standby under load. Clients keep one address, which moves, as a virtual one would.
//!
//! The link between the two breaks first and the primary dies later: so what was answered without the standby is really gone.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_testing::{PostgresServer, Proxy, TestDatabase, until, violations};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    load::Load,
    stack::{
        Options, PATIENCE, Stack,
        client::{id, shell},
    },
};

/// A primary, the standby that follows it, the link between them, and the clients' way.
pub(crate) struct Pair {
    pub(crate) primary: PostgresServer,
    pub(crate) standby: PostgresServer,
    pub(crate) link: Proxy,
    pub(crate) way: Proxy,
}

impl Pair {
    /// The standby's clock differs by `skew` seconds.
    pub(crate) async fn start(skew: f64) -> (Self, TestDatabase) {
        let primary = PostgresServer::start().await;
        let (link, way) = (Proxy::start(primary.address()).await, Proxy::start(primary.address()).await);
        let database = primary.migrated(&way.address().to_string()).await;
        let standby = primary.standby(&link.address().to_string(), skew).await;
        (Self { primary, standby, link, way }, database)
    }

    /// Clients are led to the standby before it takes writes, as they often are.
    pub(crate) async fn fail_over(&mut self) {
        self.primary.crash().await;
        self.way.redirect(self.standby.address());
        self.standby.promote().await;
    }
}

/// Every job the database has is over, and its rules hold.
pub(crate) async fn settles(stack: &Stack) {
    let waiting = "SELECT count(*) FROM job WHERE finished_at IS NULL";
    until("every job is over", PATIENCE, || async {
        let row = stack.database.client().await.ok()?.query_one(waiting, &[]).await.ok()?;
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(violations(&stack.database.client().await.unwrap()).await, Vec::<String>::new());
}

/// Those of `jobs` that did not complete, or are not there.
pub(crate) async fn not_completed(stack: &Stack, jobs: &[String]) -> Vec<String> {
    let sql = "SELECT id::text FROM unnest($1::text[]) AS u (id)
      WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.id = u.id::uuid AND state = 'succeeded')";
    let rows = stack.database.client().await.unwrap().query(sql, &[&jobs]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Red when commits wait for nobody but the primary (`synchronous_commit=local` in the pool's options): jobs answered with 202
/// are not there, and attempts that agents saw are given out again. (An admission may be lost, since it is committed
/// asynchronously; its ticket's number then comes again, but no claim with it was ever answered.)
#[tokio::test(flavor = "multi_thread")]
async fn t42_a_synchronous_standby_takes_over_with_every_accepted_job_and_no_attempt_twice() {
    let (mut pair, database) = Pair::start(0.0).await;
    pair.primary.wait_for_standby().await;
    // A limit on statements must not end the wait for the standby.
    let settings = vec![("DRYDOCK_DATABASE_STATEMENT_TIMEOUT", "1s".to_owned())];
    let stack = Stack::on(database, Options { settings, ..Options::default() }).await;
    let load = Load::of(&stack, 4, "true", 100).await;
    load.accepts(15).await;
    pair.link.stall();
    let before = load.accepted().len();
    let primary = pair.primary.client().await;
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'
      AND query ~ 'accept' AND clock_timestamp() > query_start + interval '1500 ms'";
    until("acceptances wait for the standby, or are answered without it", PATIENCE, || async {
        let stuck: i64 = primary.query_one(stuck, &[]).await.unwrap().get(0);
        (stuck > 0 || load.accepted().len() > before + 10).then_some(())
    })
    .await;
    pair.fail_over().await;
    load.accepts(15).await;
    let accepted = load.stop().await;
    settles(&stack).await;
    assert_eq!(not_completed(&stack, &accepted).await, Vec::<String>::new(), "of {}", accepted.len());
    load.assert_no_attempt_twice();
}

/// What the standby of [`t43`] has and has not heard of.
struct Window {
    /// Accepted before, done within: the standby believes that it runs.
    half_known: String,
    /// Accepted before, and never admitted until then.
    known: String,
    /// Accepted within; its agent runs.
    running: String,
    /// Accepted within; their tickets wait in the queue.
    waiting: Vec<String>,
}

/// A script that notes its process as `name`, then waits for the file `name`.end.
pub(crate) fn held(stack: &Stack, name: &str) -> Value {
    let place = stack.scratch.path().join(name);
    let place = place.display();
    shell(&format!("echo $$ > {place}; while [ ! -e {place}.end ]; do sleep 0.02; done; echo x > {name}.txt"))
}

/// Awaits its process; a path that is there as long as the process is.
pub(crate) async fn starts(stack: &Stack, name: &str) -> PathBuf {
    let place = stack.scratch.path().join(name);
    until("the agent runs", PATIENCE, || async {
        let pid = fs_err::read_to_string(&place).unwrap_or_default();
        (!pid.trim().is_empty()).then(|| Path::new("/proc").join(pid.trim()).join("cwd"))
    })
    .await
}

pub(crate) fn end(stack: &Stack, name: &str) {
    fs_err::write(stack.scratch.path().join(format!("{name}.end")), "").unwrap();
}

/// Jobs of five projects around the moment from which the standby hears nothing.
async fn open_window(stack: &Stack, pair: &Pair) -> (Vec<String>, Window) {
    let made = (0..5).map(|_| stack.client.project(json!({"instruction": "an app to fail over"})));
    let projects: Vec<String> = futures_util::future::join_all(made).await.iter().map(id).collect();
    let half_known = stack.client.submit(&projects[0], held(stack, "half-known")).await;
    starts(stack, "half-known").await;
    // Behind the other in its lane.
    let known = stack.client.submit(&projects[0], shell("echo x > known.txt")).await;
    pair.standby.await_caught_up(&pair.primary).await;
    pair.link.stall();
    let running = stack.client.submit(&projects[1], held(stack, "running")).await;
    starts(stack, "running").await;
    end(stack, "half-known");
    assert_eq!(stack.client.ended(&half_known).await["status"], "completed");
    assert_eq!(stack.client.ended(&known).await["status"], "completed");
    // Nobody takes tickets any more.
    stack.workers.iter().for_each(|worker| worker.signal(Signal::STOP));
    let mut waiting = Vec::new();
    for project in &projects[2..] {
        waiting.push(stack.client.submit(project, shell("echo x > x.txt")).await);
    }
    for job in &waiting {
        stack.client.reaches(job, "dispatched").await;
    }
    (projects, Window { half_known, known, running, waiting })
}

/// Whether the pool's queue has a ticket for the next worker.
async fn has_ticket(stack: &Stack) -> bool {
    let mut next = drydock_testing::broker().subscribe(stack.pool(), 1).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), next.next()).await.is_ok()
}

/// Red when a worker takes an attempt that it owns and does not run for its own business (`Running::unknown` answers nothing): the
/// job whose end was forgotten runs for ever. Red when a stale ticket is not acknowledged: it is in the queue again when its
/// worker stops. Red when renewals do not stop what is not owned: the agent of the forgotten job lives.
#[tokio::test(flavor = "multi_thread")]
async fn t43_an_asynchronous_standby_forgets_its_lag_and_nothing_else() {
    let (mut pair, database) = Pair::start(0.0).await;
    let mut stack = Stack::on(database, Options::default()).await;
    let (projects, window) = open_window(&stack, &pair).await;
    pair.fail_over().await;
    stack.workers.iter().for_each(|worker| worker.signal(Signal::CONT));
    // Known before: they end, the one that had ended too, by another attempt.
    for job in [&window.half_known, &window.known] {
        let ended = stack.client.ended(job).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    let ended = stack.client.ended(&window.half_known).await;
    assert_eq!(ended["attempts"].as_array().unwrap().len(), 2, "{ended}");
    // Accepted within the lag: not there, and nothing of them is left.
    for job in window.waiting.iter().chain([&window.running]) {
        let (status, body) = stack.client.send(reqwest::Method::GET, &format!("/jobs/{job}"), None).await;
        assert_eq!(status.as_u16(), 404, "{body}");
    }
    let agent = starts(&stack, "running").await;
    until("the agent of a job that is not there is killed", PATIENCE, || async { (!agent.exists()).then_some(()) })
        .await;
    for project in &projects {
        let ended = stack.client.run(project, shell("echo y > y.txt")).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    settles(&stack).await;
    for worker in &mut stack.workers {
        worker.signal(Signal::TERM);
        assert!(worker.ended().await.success());
    }
    assert!(!has_ticket(&stack).await, "unknown jobs' tickets are acknowledged");
    stack.await_clean().await;
}
