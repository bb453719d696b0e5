//! The `drydock-dispatcher` service.

use std::process::ExitCode;

use drydock_dispatcher::{DispatcherConfig, run};
use drydock_runtime::exit::{parse, run_service};

fn main() -> ExitCode {
    match parse::<DispatcherConfig>() {
        Ok(config) => {
            run_service("dispatcher", &config.telemetry.clone(), async |shutdown| run(config, shutdown).await)
        }
        Err(code) => code,
    }
}
