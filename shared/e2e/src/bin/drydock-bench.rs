//! `drydock-bench`: measures a running stack (`make bench`). Exit code 1 when a job did not end as it should.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_e2e::bench::{Arguments, run};

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
