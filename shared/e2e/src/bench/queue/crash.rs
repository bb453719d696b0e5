//! How soon a job runs again after its worker was killed, at default settings: elsewhere when the lease has run out, and at
//! once when the worker is started again on its host.

use std::time::Duration;

use anyhow::{Context as _, Result};
use drydock_domain::TenantId;
use tokio::time::{Instant, sleep};

use super::{Report, Stack};
use crate::bench::stack::command;

const EXPIRY_S: f64 = 75.0;
const RESTART_S: f64 = 3.0;
const PATIENCE: Duration = Duration::from_secs(120);
const RUNNING: &str =
    "SELECT w.instance FROM job j JOIN attempt a ON a.id = j.current_attempt JOIN worker w ON w.id = a.worker_id
  WHERE j.id = $1 AND a.number = $2";

pub(super) async fn phase(report: &mut Report) -> Result<()> {
    let restarted = measure(true).await?;
    report.at_most("crash to restart, worker started again", restarted, RESTART_S, "s");
    let expired = measure(false).await?;
    report.at_most("crash to restart, by expiry", expired, EXPIRY_S, "s");
    Ok(())
}

/// Seconds from the kill to the second attempt's claim.
async fn measure(restart: bool) -> Result<f64> {
    let mut stack = Stack::start().await?;
    stack.start_dispatcher();
    stack.start_worker("worker-1", 1);
    stack.start_worker("worker-2", 1);
    stack.await_workers(2).await;
    let project = stack.projects(1).await?[0];
    let job = command(project, &["sleep", "300"]);
    drydock_database::job::accept(&stack.sql().await?, TenantId::DEFAULT, &job).await?;
    // Nobody woke the dispatcher: its poll finds the job.
    let runs_on = claimed(&stack, job.id.uuid(), 1).await?;
    let place = runs_on.rsplit('/').next().context("an instance ends with its scratch directory")?.to_owned();
    // Long enough for a lead to have lasted through a lease: a young leader declares nobody over.
    if !restart {
        sleep(Duration::from_secs(80)).await;
    }
    stack.kill(&place);
    let killed = Instant::now();
    if restart {
        stack.start_worker(&place, 1);
    }
    claimed(&stack, job.id.uuid(), 2).await?;
    Ok(killed.elapsed().as_secs_f64())
}

async fn claimed(stack: &Stack, job: uuid::Uuid, number: i16) -> Result<String> {
    let (sql, began) = (stack.sql().await?, Instant::now());
    loop {
        if let Some(row) = sql.query_opt(RUNNING, &[&job, &number]).await? {
            return Ok(row.get(0));
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "attempt {number} did not begin within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
