//! The benchmark of the API: what people and scripts ask of it, on a stack of its own. Every result is checked.

mod batch;
mod get;
mod logs;
mod pages;
mod streams;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use drydock_runtime::config::positive_duration;

use super::{machine, report::Report, stack::Stack};

/// Measures the API: a batch of 100,000 lines, reads under load, deep pages, many streams, the delay of logs
#[derive(Clone, Debug, Parser)]
#[command(
    name = "drydock-bench-api",
    after_help = "Examples (make bench-api starts the servers and sets what this needs):\n  \
                  deploy/local/bench-api.sh\n  deploy/local/bench-api.sh --phases batch --lines 20000 --runs 1"
)]
pub struct Arguments {
    /// Which parts to measure
    #[arg(long, value_delimiter = ',', default_value = "batch,get,pages,streams,logs")]
    phases: Vec<String>,
    /// Lines of a batch
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    lines: usize,
    /// Projects they are spread over
    #[arg(long, default_value_t = 1000, value_name = "N")]
    projects: usize,
    /// How often a batch is submitted; the median counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: usize,
    /// Reads a second
    #[arg(long, default_value_t = 1000, value_name = "N")]
    rate: u32,
    /// For how long
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = positive_duration)]
    during: Duration,
    /// Jobs behind the pages
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    jobs: i32,
    /// Streams open at once
    #[arg(long, default_value_t = 1000, value_name = "N")]
    streams: usize,
    /// Lines of log whose delay is measured
    #[arg(long, default_value_t = 400, value_name = "N")]
    log_lines: usize,
    /// Longest time for all of it
    #[arg(long, default_value = "20m", value_name = "TIME", value_parser = positive_duration)]
    timeout: Duration,
}

/// Measures and prints.
///
/// # Errors
/// An answer is not what it should be, a server does not answer, or time was up.
pub async fn run(arguments: Arguments) -> Result<()> {
    super::within(arguments.timeout, measure(arguments)).await
}

async fn measure(arguments: Arguments) -> Result<()> {
    let mut report = Report::default();
    for line in machine::describe()? {
        report.line(&line);
    }
    for phase in &arguments.phases {
        match phase.as_str() {
            "batch" => batch::phase(&arguments, &mut report).await?,
            "get" => get::phase(&arguments, &mut report).await?,
            "pages" => pages::phase(&arguments, &mut report).await?,
            "streams" => streams::phase(&arguments, &mut report).await?,
            "logs" => logs::phase(&arguments, &mut report).await?,
            other => anyhow::bail!("--phases: no phase is called '{other}'"),
        }
    }
    report.end();
    Ok(())
}
