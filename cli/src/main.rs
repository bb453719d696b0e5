//! The `drydock` command: parses, runs, exits.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_cli::{Cli, Exit, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli));
            // A blocked read of a file to send must not hold the exit up.
            runtime.shutdown_background();
            exit.into()
        }
        Err(_) => Exit::Unavailable.into(),
    }
}
