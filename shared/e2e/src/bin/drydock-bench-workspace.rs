//! `drydock-bench-workspace`: measures materializing and pushing (`make bench-workspace`). Exit code 1 when a result was wrong or a
//! bar was missed.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_e2e::bench::workspaces::{Arguments, run};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a command line program's own words")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
