//! How soon an agent starts after its job was accepted: idle, at half load, and behind a million queued jobs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use drydock_domain::ProjectId;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::{Arguments, Report, Stack};
use crate::bench::report::percentile;

const P50_MS: f64 = 35.0;
const P99_MS: f64 = 250.0;
const FLAT: f64 = 2.0;
const SLOTS: u16 = 8;
/// Jobs a second in the background: half of what the drain's bar asks for.
const HALF_LOAD: u32 = 250;
const STARTED: &str = "SELECT extract(epoch FROM a.agent_started_at - j.created_at)::float8 * 1000, j.state::text
  FROM job j LEFT JOIN attempt a ON a.job_id = j.id WHERE j.id = $1 AND j.finished_at IS NOT NULL";
/// A tenant that may run one job, has it running, and wants a hundred jobs of each of its projects done.
const BACKLOG: &str = "
  INSERT INTO tenant (id, name, max_running) VALUES ('00000000-0000-0000-0000-0000000000b1', 'backlog', 1);
  INSERT INTO project (id, tenant_id, instruction, agent, pool)
    SELECT md5('p' || n)::uuid, '00000000-0000-0000-0000-0000000000b1', 'a backlog', 'dummy', 'POOL' FROM generate_series(0, PROJECTS) n;
  INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, argv, agent, pool, demand, state, queued_at, dispatched_at)
    SELECT md5('j' || n)::uuid, '00000000-0000-0000-0000-0000000000b1', md5('p' || n / 100)::uuid, 'command', 'true', '', '{true}', 'dummy',
           'POOL', '* none {}',
           (CASE WHEN n = 0 THEN 'dispatched' WHEN n % 100 = 0 THEN 'queued' ELSE 'pending' END)::job_state,
           CASE WHEN n % 100 = 0 THEN now() END, CASE WHEN n = 0 THEN now() + interval '1 day' END
      FROM generate_series(0, JOBS - 1) n";

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut stack = Stack::start().await?;
    stack.isolation.clone_from(&arguments.isolation);
    let projects = stack.projects(50).await?;
    stack.start_dispatcher();
    stack.start_worker("worker-1", SLOTS);
    stack.await_workers(1).await;
    probe(&stack, &projects, 10).await?;
    let idle = probe(&stack, &projects, arguments.starts).await?;
    let loaded = tokio::select! {
        times = probe(&stack, &projects[..10], arguments.starts) => times?,
        fault = load(&stack, &projects[10..]) => return Err(fault),
    };
    fill(&stack, arguments.backlog).await?;
    let behind = probe(&stack, &projects, arguments.starts).await?;
    for (what, times) in [("idle", &idle), ("half load", &loaded), ("behind a backlog", &behind)] {
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        report.line(&format!("start     {what}: {} jobs, p50 {p50:.1} ms, p99 {p99:.1} ms", times.len()));
    }
    report.at_most("enqueue to agent start, idle, p50", percentile(&idle, 0.5), P50_MS, "ms");
    report.at_most("enqueue to agent start, half load, p99", percentile(&loaded, 0.99), P99_MS, "ms");
    let ratio = percentile(&behind, 0.99) / percentile(&idle, 0.99);
    report.at_most(&format!("p99 behind {} queued jobs over p99 idle", arguments.backlog), ratio, FLAT, "×");
    Ok(())
}

/// Single jobs, one after another, at odd moments; milliseconds to the agent's start, sorted.
async fn probe(stack: &Stack, projects: &[ProjectId], jobs: usize) -> Result<Vec<f64>> {
    let sql = stack.sql().await?;
    let mut times = Vec::with_capacity(jobs);
    for number in 0..jobs {
        let pause = Duration::from_millis(rand::rng().random_range(5..40));
        sleep(pause).await;
        let id: uuid::Uuid = stack.post(projects[number % projects.len()], &["true"]).await?.parse()?;
        let row = loop {
            if let Some(row) = sql.query_opt(STARTED, &[&id]).await? {
                break row;
            }
            sleep(Duration::from_millis(5)).await;
        };
        ensure!(row.get::<_, &str>(1) == "succeeded", "job {id} ended as {}", row.get::<_, &str>(1));
        times.push(row.get::<_, Option<f64>>(0).context("a finished attempt tells when its agent started")?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Submits at an even pace; ends only with a fault.
async fn load(stack: &Stack, projects: &[ProjectId]) -> anyhow::Error {
    let began = Instant::now();
    for number in 0_u32.. {
        tokio::time::sleep_until(began + Duration::from_secs(1) * number / HALF_LOAD).await;
        let project = projects[number as usize % projects.len()];
        if let Err(error) = stack.post(project, &["true"]).await {
            return error.context("the load in the background");
        }
    }
    unreachable!("the benchmark's time is up long before")
}

async fn fill(stack: &Stack, jobs: i32) -> Result<()> {
    let sql = BACKLOG
        .replace("POOL", stack.pool())
        .replace("PROJECTS", &(jobs / 100).to_string())
        .replace("JOBS", &jobs.to_string());
    // A backlog that has been there for a while: what its sudden arrival leaves to vacuum and checkpoints is not measured.
    stack.fill(&[&sql, "VACUUM (ANALYZE) job", "VACUUM (ANALYZE) project", "CHECKPOINT"]).await
}
