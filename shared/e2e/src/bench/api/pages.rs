//! Whether the ten-thousandth page of a list costs what the first does.

use anyhow::{Context as _, Result, ensure};
use drydock_database::page::Cursor;
use serde_json::Value;
use tokio::time::Instant;

use super::{Arguments, Report, Stack};
use crate::bench::report::median;

const FLAT: f64 = 1.5;
/// Milliseconds: flat and slow would be met by the ratio alone.
const QUICK: f64 = 50.0;
const PAGE: i32 = 100;
const TRIES: usize = 50;
const FILL: &str = "
  INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, agent, pool, demand, state, created_at, finished_at)
    SELECT md5('j' || n)::uuid, p.tenant_id, p.id, 'edit', 'job ' || n, 'do it', 'dummy', p.pool, 'dummy none {}',
           (CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'succeeded' END)::job_state, now() - n * interval '1 second', now()
      FROM generate_series(1, JOBS) n
      JOIN (SELECT *, row_number() OVER (ORDER BY id) AS k, count(*) OVER () AS many FROM project) p ON p.k = n % p.many + 1";
const AT: &str = "SELECT created_at, id FROM job ORDER BY created_at DESC, id DESC OFFSET $1 LIMIT 1";

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let stack = Stack::start().await?;
    let projects = stack.projects(100).await?;
    let sql = stack.sql().await?;
    let fill = FILL.replace("JOBS", &arguments.jobs.to_string());
    stack.fill(&[&fill, "VACUUM (ANALYZE) job", "CHECKPOINT"]).await?;
    // Far enough from the end for a full page of a project's.
    let deep = i64::from(arguments.jobs - PAGE * (PAGE / 4 + 2));
    let row = sql.query_one(AT, &[&deep]).await?;
    let cursor = Cursor { at: row.get(0), id: row.get(1) };
    let of_project = format!("projects/{}/jobs", projects[0]);
    for (what, path, limit) in [("all jobs", "jobs", PAGE), ("a project's jobs", of_project.as_str(), PAGE / 4)] {
        let first = time(&stack, &format!("{path}?limit={limit}"), limit).await?;
        let last = time(&stack, &format!("{path}?limit={limit}&cursor={cursor}"), limit).await?;
        let page = deep / i64::from(PAGE);
        report.line(&format!(
            "pages     {what}, {} in all: page 1 in {first:.2} ms, page {page} in {last:.2} ms",
            arguments.jobs
        ));
        report.at_most(&format!("page {page} over page 1, {what}"), last / first, FLAT, "×");
        report.at_most(&format!("page 1, {what}"), first, QUICK, "ms");
    }
    Ok(())
}

/// Milliseconds a page takes; it has at least so many items.
async fn time(stack: &Stack, path: &str, items: i32) -> Result<f64> {
    let mut times = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let began = Instant::now();
        let page: Value = stack.http.get(stack.url(path)).send().await?.error_for_status()?.json().await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        let found = page["items"].as_array().context("a page has items")?.len();
        ensure!(found >= usize::try_from(items)?, "{found} items in {path}");
    }
    Ok(median(&times))
}
