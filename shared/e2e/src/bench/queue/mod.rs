//! The benchmark of the queue: a stack of its own on this machine, all parts and servers together. Every result is checked.

mod accept;
mod cpu;
mod crash;
mod drain;
mod renewals;
mod spawn;
mod start;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Parser;
use drydock_runtime::config::positive_duration;

use self::cpu::Servers;
use super::{machine, report::Report, stack::Stack};

/// Measures the queue: accepting, draining 10,000 jobs, time to start, leases of 10,000 workers, recovery from a crash
#[derive(Clone, Debug, Parser)]
#[command(
    name = "drydock-bench-queue",
    after_help = "Examples (make bench-queue starts the servers and sets what this needs):\n  \
                  deploy/local/bench-queue.sh\n  deploy/local/bench-queue.sh --phases drain --jobs 2000 --runs 1"
)]
pub struct Arguments {
    /// Which parts to measure
    #[arg(long, value_delimiter = ',', default_value = "spawn,accept,drain,start,renewals,crash")]
    phases: Vec<String>,
    /// Jobs accepted before a drain
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    jobs: usize,
    /// Projects they are spread over
    #[arg(long, default_value_t = 200, value_name = "N")]
    projects: usize,
    /// Requests at the same time
    #[arg(long, default_value_t = 32, value_name = "N")]
    clients: usize,
    /// Workers in a drain
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// Slots of each
    #[arg(long, default_value_t = 32, value_name = "N")]
    slots: u16,
    /// Walls around the jobs of a drain and of the time to start, as `DRYDOCK_ISOLATION` has them; the bars are for none
    #[arg(long, default_value = "none", value_name = "LEVEL")]
    isolation: String,
    /// How often a drain is run; the median counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: usize,
    /// Single jobs per measurement of the time to start
    #[arg(long, default_value_t = 200, value_name = "N")]
    starts: usize,
    /// Queued jobs behind which it is measured again
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    backlog: i32,
    /// Simulated workers
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    leases: i32,
    /// Directory with the servers' pid files
    #[arg(long, default_value = ".local/bench/run", value_name = "DIRECTORY")]
    pids: PathBuf,
    /// Longest time for all of it
    #[arg(long, default_value = "40m", value_name = "TIME", value_parser = positive_duration)]
    timeout: Duration,
}

/// Measures and prints.
///
/// # Errors
/// A job did not end as it should, a server does not answer, or time was up.
pub async fn run(arguments: Arguments) -> Result<()> {
    super::within(arguments.timeout, measure(arguments)).await
}

async fn measure(arguments: Arguments) -> Result<()> {
    let mut report = Report::default();
    for line in machine::describe()? {
        report.line(&line);
    }
    let servers = Servers::read(&arguments.pids)?;
    for phase in &arguments.phases {
        match phase.as_str() {
            "spawn" => spawn::phase(&mut report)?,
            "accept" => accept::phase(&arguments, &mut report).await?,
            "drain" => drain::phase(&arguments, &servers, &mut report).await?,
            "start" => start::phase(&arguments, &mut report).await?,
            "renewals" => renewals::phase(&arguments, &servers, &mut report).await?,
            "crash" => crash::phase(&mut report).await?,
            other => anyhow::bail!("--phases: no phase is called '{other}'"),
        }
    }
    report.end();
    Ok(())
}
