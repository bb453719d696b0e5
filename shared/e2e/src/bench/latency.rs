//! How soon an agent starts on an idle fleet: single jobs, one after another.

use std::time::Duration;

use anyhow::{Context as _, Result};
use drydock_client::views::Job;
use rand::RngExt as _;
use tokio::time::sleep;

use super::{
    fleet::{Fleet, joined},
    report::{Report, median, percentile},
};

const P50_MS: f64 = 60.0;
/// Between two jobs, so that none starts at the same point of a loop's period as the one before.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 10..=80;

pub(super) async fn phase(fleet: &Fleet, jobs: usize, runs: u32, report: &mut Report) -> Result<()> {
    let (mut p50, mut p99, mut exact) = (Vec::new(), Vec::new(), true);
    // Not counted: connections are made, statements prepared.
    for project in fleet.projects.iter().take(5) {
        one(fleet, project).await?;
    }
    for _ in 0..runs {
        let mut times = Vec::with_capacity(jobs);
        for number in 0..jobs {
            let pause = Duration::from_millis(rand::rng().random_range(PAUSE_MS));
            sleep(pause).await;
            let job = one(fleet, &fleet.projects[number % fleet.projects.len()]).await?;
            let (time, told) = start(&job)?;
            exact &= told;
            times.push(time);
        }
        times.sort_by(f64::total_cmp);
        p50.push(percentile(&times, 0.5));
        p99.push(percentile(&times, 0.99));
    }
    let how = if exact {
        "attempts[].agent_started_at - created_at, the database's clock and the worker's stopwatch"
    } else {
        "attempts[].started_at (the claim) - created_at + timings.materialize_s: the few steps between workspace and agent are not in it"
    };
    report
        .line(&format!("latency   {runs} runs of {jobs} single jobs (true) on an idle fleet, enqueue to agent start:"));
    report.line(&format!("          {how}"));
    report.line(&format!("          p50 {} ms; p99 {} ms", joined(&p50), joined(&p99)));
    report.at_most("enqueue to agent start, idle, p50", median(&p50), P50_MS, "ms");
    report.value("enqueue to agent start, idle, p99", median(&p99), "ms");
    Ok(())
}

async fn one(fleet: &Fleet, project: &str) -> Result<Job> {
    let id = fleet.submit(project, &["true"]).await?;
    fleet.completed(&id).await?;
    fleet.check_true(&id).await
}

/// Milliseconds from acceptance to the agent's start, and whether the server told that start itself.
fn start(job: &Job) -> Result<(f64, bool)> {
    let attempt = job.attempts.first().context("a completed job has an attempt")?;
    let since = |at: chrono::DateTime<chrono::Utc>| {
        let micros = (at - job.created_at).num_microseconds().context("times are apart by ages")?;
        Ok::<_, anyhow::Error>(f64::from(i32::try_from(micros)?) / 1000.0)
    };
    if let Some(started) = attempt.agent_started_at {
        return Ok((since(started)?, true));
    }
    let claimed = attempt.started_at.context("an attempt has a start")?;
    Ok((since(claimed)? + job.timings.materialize_s.context("a completed job has materialize_s")? * 1000.0, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(agent_started_at: &str) -> Job {
        serde_json::from_value(serde_json::json!({
            "id": "j", "project_id": "p", "job_type": "command", "title": "true", "status": "completed",
            "created_at": "2025-11-21T05:20:11.000Z", "timings": {"materialize_s": 0.004},
            "attempts": [{"number": 1, "worker": "w", "started_at": "2025-11-21T05:20:11.0205Z",
                "agent_started_at": if agent_started_at.is_empty() { None } else { Some(agent_started_at) }}],
        }))
        .unwrap()
    }

    #[test]
    fn the_start_is_the_agents() {
        assert_eq!(start(&job("2025-11-21T05:20:11.031Z")).unwrap(), (31.0, true));
        let (time, told) = start(&job("")).unwrap();
        assert!((time - 24.5).abs() < 1e-9 && !told, "{time}");
    }
}
