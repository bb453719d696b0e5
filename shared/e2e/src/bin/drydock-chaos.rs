//! `drydock-chaos`: breaks a stack of its own and checks every promise (`make chaos`). Exit code 1 when one did not hold.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_e2e::chaos::{Arguments, Command, Options, agent, run};

#[expect(clippy::print_stderr, reason = "a command line program's own words")]
fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Work(work) => agent::work(&work),
        Command::Run(options) => orchestrate(options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Until the run is over or somebody ends it; either way the services go with it.
#[tokio::main]
async fn orchestrate(options: Options) -> anyhow::Result<ExitCode> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = run(options) => done,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        _ = terminated.recv() => Ok(ExitCode::from(143)),
    }
}
