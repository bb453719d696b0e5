//! Load through what happens every day: workers restarted one after the other, database connections that break.

use std::{collections::BTreeMap, time::Duration};

use drydock_testing::until;
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tokio_postgres::IsolationLevel;

use crate::{
    failover::{end, held, not_completed, settles, starts},
    load::Load,
    stack::{Options, PATIENCE, Stack, client::id},
};

/// How attempts ended, and how often.
async fn outcomes(stack: &Stack) -> BTreeMap<String, i64> {
    let sql = "SELECT state::text, count(*) FROM attempt GROUP BY 1";
    let rows = stack.database.client().await.unwrap().query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Workers that live, and whose lease stands.
async fn leases(stack: &Stack) -> (i64, i64) {
    let sql =
        "SELECT count(*), count(*) FILTER (WHERE lease_until > clock_timestamp()) FROM worker WHERE ended_at IS NULL";
    let row = stack.database.client().await.unwrap().query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// Red when a worker that stops lets its attempts end as the agent's failure, and when it hands nothing back (they are lost).
#[tokio::test(flavor = "multi_thread")]
async fn t35_rolling_restarts_of_all_workers_charge_no_job() {
    // Agents take longer than a stopping worker waits, so that many are interrupted.
    let settings = vec![("DRYDOCK_DRAIN_TIMEOUT", "100ms".to_owned())];
    let mut stack = Stack::with(Options { settings, ..Options::default() }).await;
    let load = Load::of(&stack, 4, "sleep 0.4", 1000).await;
    for _round in 0..3 {
        for number in 0..stack.workers.len() {
            load.accepts(2).await;
            stack.workers[number].signal(Signal::TERM);
            assert!(stack.workers[number].ended().await.success());
            stack.workers[number].restart();
            until("it is back", PATIENCE, || async { (leases(&stack).await == (2, 2)).then_some(()) }).await;
        }
    }
    let accepted = load.stop().await;
    settles(&stack).await;
    assert_eq!(not_completed(&stack, &accepted).await, Vec::<String>::new());
    let outcomes = outcomes(&stack).await;
    let kinds: Vec<_> = outcomes.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["interrupted", "succeeded"], "{outcomes:?}");
    let charged = "SELECT count(*) FROM job WHERE failures + losses + infra_faults + conflicts > 0 OR state = 'dead'";
    let charged = stack.database.client().await.unwrap().query_one(charged, &[]).await.unwrap();
    assert_eq!(charged.get::<_, i64>(0), 0);
    load.assert_no_attempt_twice();
    stack.await_clean().await;
}

/// Ends a random connection to the test's database ten times a second until the task is aborted: one in the middle of a
/// statement, where there is one in that time.
async fn terminate(stack: &Stack) -> tokio::task::JoinHandle<()> {
    let client = stack.database.client().await.unwrap();
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state = 'active' OR $1)
      ORDER BY random() LIMIT 1) AS chosen";
    drydock_runtime::tasks::spawn("terminate", async move {
        loop {
            let next = tokio::time::Instant::now() + Duration::from_millis(100);
            while client.query_one(sql, &[&(tokio::time::Instant::now() > next)]).await.unwrap().get::<_, i64>(0) == 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            tokio::time::sleep_until(next).await;
        }
    })
}

/// Red when a finish without an answer is not asked again: the attempt is ended as our fault and the job runs twice. Red when a
/// slot is kept by an attempt that had to ask twice: not all slots can be used any more.
#[tokio::test(flavor = "multi_thread")]
async fn t44_connections_terminated_at_random_cost_no_attempt_no_slot_and_no_lease() {
    let stack = Stack::start().await;
    let load = Load::of(&stack, 4, "true", 200).await;
    let terminating = terminate(&stack).await;
    let until_then = tokio::time::Instant::now() + Duration::from_secs(5);
    load.accepts(20).await;
    tokio::time::sleep_until(until_then).await;
    let accepted = load.stop().await;
    terminating.abort();
    settles(&stack).await;
    assert_eq!(not_completed(&stack, &accepted).await, Vec::<String>::new());
    let ended = outcomes(&stack).await;
    assert_eq!(ended.keys().collect::<Vec<_>>(), ["succeeded"], "{ended:?}");
    load.assert_no_attempt_twice();
    assert_eq!(leases(&stack).await, (2, 2), "nobody was declared over, nobody registered twice");
    // All four slots at once.
    let made = (0..4).map(|_| stack.client.project(json!({"instruction": "an app for each slot"})));
    let projects: Vec<String> = join_all(made).await.iter().map(id).collect();
    let mut jobs = Vec::new();
    for (number, project) in projects.iter().enumerate() {
        jobs.push(stack.client.submit(project, held(&stack, &format!("slot-{number}"))).await);
    }
    for number in 0..4 {
        starts(&stack, &format!("slot-{number}")).await;
    }
    for (number, job) in jobs.iter().enumerate() {
        end(&stack, &format!("slot-{number}"));
        assert_eq!(stack.client.ended(job).await["status"], "completed");
    }
    // Six processes with a pool of six, and a few connections apart.
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    let open = stack.database.client().await.unwrap().query_one(open, &[]).await.unwrap();
    assert!(open.get::<_, i64>(0) <= 6 * (6 + 3) + 8, "{} connections", open.get::<_, i64>(0));
}

/// Red when sessions that do nothing at the moment are left out of the query: that is how transactions are forgotten. Red when
/// nobody is warned.
#[tokio::test(flavor = "multi_thread")]
async fn t46_a_transaction_that_stays_open_is_named_while_the_load_goes_on() {
    const AGE: &str = "drydock_database_oldest_transaction_seconds";
    let settings = vec![("DRYDOCK_TRANSACTION_ALARM", "3s".to_owned())];
    let stack = Stack::with(Options { settings, ..Options::default() }).await;
    let load = Load::of(&stack, 4, "true", 250).await;
    let mut forgotten = stack.database.client().await.unwrap();
    forgotten.batch_execute("SET application_name = 'a forgotten report'").await.unwrap();
    let pid: i32 = forgotten.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    forgotten.batch_execute("SET idle_in_transaction_session_timeout = 0").await.unwrap();
    let reading = forgotten.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    reading.query("SELECT count(*) FROM job", &[]).await.unwrap();
    until("its age is known", PATIENCE, || async {
        (stack.dispatchers_say(AGE).await.unwrap_or_default() >= 3.0).then_some(())
    })
    .await;
    let warning = "a transaction has been open for long";
    until("there is a warning", PATIENCE, || async { stack.process_logs().contains(warning).then_some(()) }).await;
    let logs = stack.process_logs();
    let line = logs.lines().find(|line| line.contains(warning)).unwrap();
    for part in ["a forgotten report", &format!("pg_terminate_backend({pid})")] {
        assert!(line.contains(part), "{part}: {line}");
    }
    load.accepts(10).await;
    drop(reading);
    drop(forgotten);
    until("it is over", PATIENCE, || async {
        (stack.dispatchers_say(AGE).await.unwrap_or_default() < 3.0).then_some(())
    })
    .await;
    let accepted = load.stop().await;
    settles(&stack).await;
    assert_eq!(not_completed(&stack, &accepted).await, Vec::<String>::new());
    assert_eq!(stack.process_logs().matches(warning).count(), 1, "once");
}
