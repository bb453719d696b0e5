//! Reads at an even pace, each timed from when it was due: a server that stalls is not spared the requests it kept waiting.

use std::time::Duration;

use anyhow::{Result, ensure};
use drydock_runtime::tasks;
use tokio::time::{Instant, sleep_until};

use super::{Arguments, Report, Stack};
use crate::bench::report::percentile;

const P99_MS: f64 = 10.0;
const JOBS: usize = 500;

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let stack = Stack::start().await?;
    let projects = stack.projects(50).await?;
    let mut jobs = Vec::with_capacity(JOBS);
    for n in 0..JOBS {
        jobs.push(stack.post(projects[n % projects.len()], &["true"]).await?);
    }
    // Not counted: connections are made, statements prepared.
    pace(&stack, &jobs, arguments.rate, Duration::from_secs(2)).await?;
    let times = pace(&stack, &jobs, arguments.rate, arguments.during).await?;
    let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
    report.line(&format!(
        "get       {} reads of single jobs at {} /s: p50 {p50:.1} ms, p99 {p99:.1} ms, at most {:.1} ms",
        times.len(),
        arguments.rate,
        percentile(&times, 1.0)
    ));
    report.at_most(&format!("GET /jobs/{{id}} at {} /s, p99", arguments.rate), p99, P99_MS, "ms");
    Ok(())
}

/// Milliseconds, sorted.
async fn pace(stack: &Stack, jobs: &[String], rate: u32, during: Duration) -> Result<Vec<f64>> {
    let (began, count) = (Instant::now() + Duration::from_millis(50), rate * u32::try_from(during.as_secs())?);
    let mut flights = Vec::with_capacity(usize::try_from(count)?);
    for n in 0..count {
        let due = began + Duration::from_secs(1) * n / rate;
        sleep_until(due).await;
        let id = jobs[usize::try_from(n)? % jobs.len()].clone();
        let (http, url) = (stack.http.clone(), stack.url(&format!("jobs/{id}")));
        flights.push(tasks::spawn("read", async move {
            let answer = http.get(url).send().await?;
            ensure!(answer.status() == 200, "a job was answered with {}", answer.status());
            let body = answer.bytes().await?;
            let time = due.elapsed().as_secs_f64() * 1000.0;
            ensure!(std::str::from_utf8(&body)?.contains(&id), "the answer is another job's");
            Ok(time)
        }));
    }
    let mut times = Vec::with_capacity(flights.len());
    for flight in flights {
        times.push(flight.await??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
