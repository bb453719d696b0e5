//! Process logs, as text or JSON on standard error. The logs of jobs are data and live elsewhere.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How process logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

/// Settings of the process log.
#[derive(Clone, Debug, clap::Args)]
pub struct TelemetryConfig {
    /// Log format: `text` or `json`
    #[arg(long, env = "DRYDOCK_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Log filter in the syntax of `tracing_subscriber::EnvFilter`, like `info,drydock_worker=debug`
    #[arg(long, env = "DRYDOCK_LOG", default_value = "info")]
    pub log: String,
}

/// Starts the process log. A second call in one process is without effect, so that tests may call it freely.
pub fn init(config: &TelemetryConfig) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _already_set = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
