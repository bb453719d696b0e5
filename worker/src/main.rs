//! The `drydock-worker` service.

use std::process::ExitCode;

use drydock_runtime::exit::{parse, run_service};
use drydock_worker::{WorkerConfig, run};

fn main() -> ExitCode {
    match parse::<WorkerConfig>() {
        Ok(config) => run_service("worker", &config.telemetry.clone(), async |shutdown| run(config, shutdown).await),
        Err(code) => code,
    }
}
