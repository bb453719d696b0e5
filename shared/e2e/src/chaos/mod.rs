//! The chaos run: real binaries and servers under a seeded plan of faults while clients submit and cancel; then everything is
//! healed, and a checker holds what clients were told and what agents did against what the database says.

pub mod agent;
mod check;
mod clients;
mod clock;
mod collect;
mod effects;
mod evidence;
mod faults;
mod fleet;
mod history;
mod http;
mod marked;
mod plan;
mod replay;
mod report;
mod rows;
mod run;
mod sabotage;
mod scrape;
mod servers;
mod settle;
mod side_log;
mod sql;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use drydock_runtime::config::positive_duration;

pub use sabotage::Sabotage;

/// Breaks a stack of its own for a while, then checks that every promise held
#[derive(Debug, Parser)]
#[command(
    name = "drydock-chaos",
    after_help = "The servers come from deploy/local/up.sh --servers-only with the same state directory; `make chaos` does it all."
)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The two sides of a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the plan of a seed
    Run(Options),
    /// What the jobs of a run do
    #[command(hide = true)]
    Work(agent::Work),
}

/// Settings of a run.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Decides the plan and what clients ask for; some number when unset
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long things go wrong; an effect that has not happened by then gets up to two more rounds of a minute
    #[arg(long, default_value = "90s", value_name = "TIME", value_parser = positive_duration)]
    duration: Duration,
    /// Longest time without the end of a job, until all are over, once everything is healed
    #[arg(long, default_value = "120s", value_name = "TIME", value_parser = positive_duration)]
    settle: Duration,
    /// Clients that submit
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    clients: u64,
    /// Projects they work on
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    projects: u16,
    /// State directory of the private servers
    #[arg(long, default_value = ".local/chaos", value_name = "DIRECTORY")]
    state: PathBuf,
    /// Where up.sh and rabbitmqctl.sh are
    #[arg(long, default_value = "deploy/local", value_name = "DIRECTORY")]
    scripts: PathBuf,
    /// Where the evidence goes; what was there is removed
    #[arg(long, default_value = ".local/chaos/evidence", value_name = "DIRECTORY")]
    evidence: PathBuf,
    /// Break the product itself, to see the checker turn red
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
}

/// Runs; prints the verdict.
///
/// # Errors
/// The run could not be carried out at all.
#[expect(clippy::print_stdout, reason = "a command line program's result")]
pub async fn run(options: Options) -> Result<ExitCode> {
    let (good, text) = run::run(options).await?;
    print!("{text}");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
