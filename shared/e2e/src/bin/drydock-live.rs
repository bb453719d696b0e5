//! `drydock-live`: validates a running stack (`make live`).

use std::process::ExitCode;

use clap::Parser as _;
use drydock_e2e::live::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
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
