//! `drydock-api`: the HTTP API.

use std::process::ExitCode;

use clap::Parser as _;
use drydock_api::{ApiConfig, Listeners, Secrets, run};
use drydock_runtime::exit::{Exit, USAGE, run_service};

fn main() -> ExitCode {
    let config = match ApiConfig::try_parse() {
        Ok(config) => config,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // Nothing is left to do if even that cannot be told.
            let _told = error.print();
            return code;
        }
    };
    let telemetry = config.telemetry.clone();
    run_service("drydock-api", &telemetry, async move |shutdown| {
        let secrets = Secrets::from_env().map_err(|error| Exit::Usage(error.into()))?;
        config.check().map_err(|error| Exit::Usage(error.into()))?;
        let listeners = Listeners::bind(&config).await?;
        run(config, secrets, listeners, shutdown).await
    })
}
