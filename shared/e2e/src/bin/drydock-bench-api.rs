//! `drydock-bench-api`: measures the API on a stack of its own (`make bench-api`). Exit code 1 when a result was wrong.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_e2e::bench::api::{Arguments, run};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a command line program's own words")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
