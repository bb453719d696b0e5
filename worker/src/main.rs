//! The `drydock-worker` service, and its look at the node it is to run on.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use drydock_runtime::exit::{FAILURE, parse, run_service};
use drydock_worker::{WorkerConfig, doctor, run};

#[derive(clap::Parser)]
#[command(name = "drydock-worker", version = drydock_runtime::build_info::VERSION)]
struct Cli {
    #[command(flatten)]
    config: WorkerConfig,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Try what this node allows: its disks, and each way to make workspaces; with the worker's settings, and beside a running one
    ///
    /// One line a check: ok, warn or fail, what was seen, and what to do. Exit code 1: a worker would not start or not work here.
    Doctor {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match parse::<Cli>() {
        Ok(Cli { config, command: None }) => {
            run_service("worker", &config.telemetry.clone(), async |shutdown| run(config, shutdown).await)
        }
        Ok(Cli { config, command: Some(Command::Doctor { json }) }) => look(&config, json).unwrap_or(FAILURE.into()),
        Err(code) => code,
    }
}

fn look(config: &WorkerConfig, json: bool) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(doctor(config));
    let text = if json { format!("{}\n", report.json()) } else { report.text() };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if report.has_failures() { FAILURE.into() } else { ExitCode::SUCCESS })
}
