//! Settings of the broker connection. The URL is a secret: `DRYDOCK_AMQP_URL`, or `DRYDOCK_AMQP_URL_FILE`.

use std::time::Duration;

use drydock_runtime::config::{ConfigError, positive_duration, secret};
use secrecy::SecretString;

/// The setting that names the broker.
pub const URL: &str = "DRYDOCK_AMQP_URL";

/// Plain settings of the broker connection.
#[derive(Clone, Debug, clap::Args)]
pub struct QueueConfig {
    /// Longest wait for an answer of RabbitMQ: connecting, publishing, a confirm
    #[arg(long, env = "DRYDOCK_AMQP_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub amqp_timeout: Duration,
    /// Heartbeat, whole seconds: a silent connection is given up after two
    #[arg(long, env = "DRYDOCK_AMQP_HEARTBEAT", default_value = "10s", value_parser = positive_duration)]
    pub amqp_heartbeat: Duration,
    /// How long to wait at start for RabbitMQ before giving up
    #[arg(long, env = "DRYDOCK_AMQP_START_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub amqp_start_timeout: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            amqp_timeout: Duration::from_secs(10),
            amqp_heartbeat: Duration::from_secs(10),
            amqp_start_timeout: Duration::from_secs(30),
        }
    }
}

/// The broker's URL from the environment or a file.
///
/// # Errors
/// It is missing, given twice or unreadable.
pub fn url() -> Result<SecretString, ConfigError> {
    secret(URL)
}
