//! Exit codes of the services and the recipe of their `main`.

use std::process::ExitCode;

use crate::{Shutdown, config::ConfigError, telemetry};

/// Bad settings (`EX_USAGE` of sysexits.h, BSD): fix them before a restart helps.
pub const USAGE: u8 = 64;
/// A dependency was not there at start.
pub const UNAVAILABLE: u8 = 69;
/// Anything else that ended the process.
pub const FAILURE: u8 = 1;

/// Why a service did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// A setting is missing or wrong.
    #[error("cannot use the settings")]
    Usage(#[source] anyhow::Error),
    /// PostgreSQL, RabbitMQ or S3 cannot be reached; the error names the setting.
    #[error("cannot start")]
    Unavailable(#[source] anyhow::Error),
    /// It broke later.
    #[error("stopped")]
    Failure(#[source] anyhow::Error),
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

impl From<prometheus::Error> for Exit {
    fn from(error: prometheus::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Exit {
    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Failure(_) => FAILURE,
        }
    }
}

/// Reads a service's settings; a wrong one ends it with [`USAGE`], after clap has said which.
///
/// # Errors
/// The code to exit with: also of `--help` and `--version`, where it is success.
pub fn parse<P: clap::Parser>() -> Result<P, ExitCode> {
    P::try_parse().map_err(|error| {
        // Nothing is left to do where even the message cannot be printed.
        let _unprinted = error.print();
        if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
    })
}

/// Runs a service to its end: telemetry, runtime, signals, exit code.
pub fn run_service<F>(name: &'static str, telemetry: &telemetry::TelemetryConfig, service: F) -> ExitCode
where
    F: AsyncFnOnce(Shutdown) -> Result<(), Exit>,
{
    telemetry::init(telemetry);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(name, &Exit::Failure(error.into())),
    };
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(|error| Exit::Failure(error.into()))?;
        tracing::info!(service = name, version = crate::build_info::VERSION, "starting");
        service(shutdown.clone()).await?;
        Ok::<_, Exit>(shutdown.has_failed())
    });
    match outcome {
        Ok(false) => {
            tracing::info!(service = name, "stopped");
            ExitCode::SUCCESS
        }
        Ok(true) => ExitCode::from(FAILURE),
        Err(exit) => failed(name, &exit),
    }
}

fn failed(name: &'static str, exit: &Exit) -> ExitCode {
    tracing::error!(service = name, "{exit}: {:#}", std::error::Error::source(exit).map_or_else(String::new, chain));
    ExitCode::from(exit.code())
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
