//! Many small jobs over many projects: how many a second, and whether every single one ended as it should.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use drydock_client::views::Job;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::{
    fleet::{Fleet, joined},
    report::{Report, median, percentile},
};

pub(super) async fn phase(fleet: &Fleet, jobs: usize, runs: u32, report: &mut Report) -> Result<()> {
    let (mut rates, mut submits, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let (submitted, took) = submit_all(fleet, jobs).await?;
        submits.push(per_second(jobs, took));
        let done = stream::iter(&submitted).map(async |id| fleet.completed(id).await);
        let _waited: Vec<Job> = done.buffer_unordered(fleet.clients).try_collect().await?;
        let checks = stream::iter(&submitted).map(async |id| fleet.check_true(id).await);
        let checked: Vec<Job> = checks.buffer_unordered(fleet.clients).try_collect().await?;
        rates.push(per_second(jobs, span(&checked)?));
        waits.extend(checked.iter().filter_map(|job| job.timings.queue_s));
    }
    waits.sort_by(f64::total_cmp);
    let projects = fleet.projects.len();
    report.line(&format!(
        "jobs      {runs} runs of {jobs} jobs (true) over {projects} projects, {} requests at once:",
        fleet.clients
    ));
    report.line(&format!(
        "          all completed at their first attempt, with a log and without a version; {} jobs/s",
        joined(&rates)
    ));
    let (p50, p99) = (percentile(&waits, 0.5), percentile(&waits, 0.99));
    report.line(&format!(
        "          accepted at {} jobs/s; waited p50 {p50:.2} s, p99 {p99:.2} s in the queue",
        joined(&submits)
    ));
    report.value("jobs completed", median(&rates), "jobs/s");
    report.value("jobs accepted", median(&submits), "jobs/s");
    Ok(())
}

/// Round robin over the projects.
async fn submit_all(fleet: &Fleet, jobs: usize) -> Result<(Vec<String>, Duration)> {
    let started = Instant::now();
    let submits = (0..jobs).map(|number| fleet.submit(&fleet.projects[number % fleet.projects.len()], &["true"]));
    let ids = stream::iter(submits).buffered(fleet.clients).try_collect().await?;
    Ok((ids, started.elapsed()))
}

/// From the first acceptance to the last end, by the database's clock.
fn span(jobs: &[Job]) -> Result<Duration> {
    let first: Option<DateTime<Utc>> = jobs.iter().map(|job| job.created_at).min();
    let last = jobs.iter().filter_map(|job| job.finished_at).max();
    let (first, last) = first.zip(last).context("completed jobs have a beginning and an end")?;
    (last - first).to_std().context("the last end is before the first beginning")
}

fn per_second(jobs: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)) / took.as_secs_f64()
}
