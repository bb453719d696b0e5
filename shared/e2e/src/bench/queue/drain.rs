//! How fast `command` jobs run that were accepted before: from the workers' first claim to the last finish, every one checked.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

use super::{Arguments, Report, Servers, Stack, spawn};
use crate::bench::{fleet::joined, report::median};

const BAR: f64 = 500.0;
const PATIENCE: Duration = Duration::from_secs(600);
/// One attempt each, a good one; a log that tells of it; no version; nothing else said of it.
const WRONG: &str = "SELECT count(*) FROM job j WHERE NOT (
    j.state = 'succeeded' AND j.attempts = 1 AND j.version IS NULL AND j.failure_kind IS NULL
    AND (SELECT count(*) FROM attempt a WHERE a.job_id = j.id AND a.state = 'succeeded'
           AND a.result ->> 'status' = 'completed'
           AND a.log_bytes = (SELECT coalesce(sum(c.length), 0) FROM log_chunk c WHERE c.attempt_id = a.id)
           AND EXISTS (SELECT 1 FROM log_chunk c WHERE c.attempt_id = a.id AND position('Generation complete'::bytea IN c.data) > 0)) = 1)";
/// By the partial indexes of what is not over, so that asking costs next to nothing.
const OVER: &str = "SELECT NOT (EXISTS (SELECT 1 FROM job WHERE state = 'pending')
    OR EXISTS (SELECT 1 FROM job WHERE state IN ('queued', 'dispatched', 'running')))";
const SPAN: &str = "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM job";

pub(super) async fn phase(arguments: &Arguments, servers: &Servers, report: &mut Report) -> Result<()> {
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let raw = spawn::measure()?;
        let rate = run(arguments, servers, report).await?;
        rates.push(rate);
        ratios.push(rate / raw);
    }
    report.line(&format!(
        "drain     {} jobs (true) over {} projects, {} worker(s) of {} slots: {} jobs/s; {} of a raw spawn's rate",
        arguments.jobs,
        arguments.projects,
        arguments.workers,
        arguments.slots,
        joined(&rates),
        ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ")
    ));
    report.at_least("jobs completed", median(&rates), BAR, "/s");
    Ok(())
}

async fn run(arguments: &Arguments, servers: &Servers, report: &Report) -> Result<f64> {
    let mut stack = Stack::start().await?;
    stack.isolation.clone_from(&arguments.isolation);
    let projects = stack.projects(arguments.projects).await?;
    stack.post_all(&projects, arguments.jobs, arguments.clients).await?;
    stack.start_dispatcher();
    let before = servers.used(&stack)?;
    for number in 1..=arguments.workers {
        stack.start_worker(&format!("worker-{number}"), arguments.slots);
    }
    let sql = stack.sql().await?;
    let began = Instant::now();
    loop {
        if sql.query_one(OVER, &[]).await?.get(0) {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "not all jobs are over after {PATIENCE:?}");
        sleep(Duration::from_millis(250)).await;
    }
    let parts = servers.used(&stack)?.since(&before);
    let wrong: i64 = sql.query_one(WRONG, &[]).await?.get(0);
    ensure!(wrong == 0, "{wrong} of {} jobs did not end as they should", arguments.jobs);
    let seconds: f64 = sql.query_one(SPAN, &[]).await?.get(0);
    let each = |time: &Duration| time.as_secs_f64() * 1000.0 / arguments.jobs as f64;
    let told: Vec<String> = parts.iter().map(|(name, time)| format!("{name} {:.2}", each(time))).collect();
    report.line(&format!("drain     processor time a job, ms: {}", told.join(", ")));
    Ok(arguments.jobs as f64 / seconds)
}
