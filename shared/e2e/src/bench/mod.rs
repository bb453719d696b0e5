//! The benchmark: a running stack under the API's own clients. Every result is checked; a figure from wrong results is none.

pub mod api;
mod fleet;
mod latency;
mod machine;
mod memory;
pub mod queue;
mod report;
mod stack;
mod throughput;
mod workspace;
pub mod workspaces;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use clap::Parser;
use drydock_client::Client;
use drydock_runtime::config::{optional_secret, positive_duration};
use tokio::time::timeout;

use self::{fleet::Fleet, memory::Pids, report::Report};

/// Measures a running stack: jobs a second, how soon agents start, memory
#[derive(Debug, Parser)]
#[command(
    name = "drydock-bench",
    after_help = "Examples:\n  drydock-bench --pids .local/run\n  drydock-bench --jobs 200 --projects 10 --runs 1 --workspace-mb 0"
)]
pub struct Arguments {
    /// The stack's API
    #[arg(long, env = "DRYDOCK_API_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    base_url: String,
    /// Jobs in one run of the throughput phase; 0 skips it
    #[arg(long, default_value_t = 1000, value_name = "N")]
    jobs: usize,
    /// Projects they are spread over
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    projects: u32,
    /// Requests at the same time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Single jobs in one run of the latency phase, one after another; 0 skips it
    #[arg(long, default_value_t = 200, value_name = "N")]
    latency_jobs: usize,
    /// How often each phase is run; the median counts
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Size of the workspace that is moved while memory is watched, in MiB; 0 skips it
    #[arg(long, default_value_t = 200, value_name = "N")]
    workspace_mb: u64,
    /// Directory with the services' pid files; without it memory is not measured
    #[arg(long, default_value = ".local/run", value_name = "DIRECTORY")]
    pids: PathBuf,
    /// Longest time for all of it
    #[arg(long, default_value = "30m", value_name = "TIME", value_parser = positive_duration)]
    timeout: Duration,
    /// Measure a stack on another host; its users would notice
    #[arg(long)]
    allow_remote: bool,
}

/// Measures and prints.
///
/// # Errors
/// A job did not end as it should, the stack does not answer, or time was up.
pub async fn run(arguments: Arguments) -> Result<()> {
    within(arguments.timeout, measure(arguments)).await
}

/// What `measuring` gives, or that it took longer than `limit`.
async fn within(limit: Duration, measuring: impl Future<Output = Result<()>>) -> Result<()> {
    match timeout(limit, measuring).await {
        Ok(outcome) => outcome,
        Err(_) => anyhow::bail!("not done after {limit:?} (--timeout)"),
    }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let key = optional_secret("DRYDOCK_API_KEY")?;
    let client = Client::new(&arguments.base_url, key.as_ref())?;
    let host = client.server().host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    ensure!(loopback || arguments.allow_remote, "{host} is another host: --allow-remote, if its users agree");
    let mut report = Report::default();
    report.line(&format!("server    {}", client.server()));
    for line in machine::describe()? {
        report.line(&line);
    }
    let pids = Pids::read(&arguments.pids)?;
    if let Some(pids) = &pids {
        // First of all: nothing was asked of the services yet by this run.
        memory::idle(pids, &mut report)?;
    } else {
        report.line(&format!("memory    not measured: there are no pid files in {}", arguments.pids.display()));
    }
    let clients = usize::try_from(arguments.clients)?;
    let fleet = Fleet::prepare(client, usize::try_from(arguments.projects)?, clients).await?;
    if arguments.latency_jobs > 0 {
        latency::phase(&fleet, arguments.latency_jobs, arguments.runs, &mut report).await?;
    }
    if arguments.jobs > 0 {
        throughput::phase(&fleet, arguments.jobs, arguments.runs, &mut report).await?;
    }
    if arguments.workspace_mb > 0 {
        workspace::phase(&fleet, arguments.workspace_mb, pids.as_ref(), &mut report).await?;
    }
    report.end();
    Ok(())
}
