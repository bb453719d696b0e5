//! Settings of the database connection. The URL is a secret: `DRYDOCK_DATABASE_URL`, or `DRYDOCK_DATABASE_URL_FILE`.

use std::time::Duration;

use clap::{ArgAction, builder::BoolishValueParser};
use drydock_runtime::config::{ConfigError, positive_duration, secret};
use secrecy::SecretString;

/// The setting that names the database.
pub const URL: &str = "DRYDOCK_DATABASE_URL";

/// Plain settings of the connection pool.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseConfig {
    /// Connections kept to PostgreSQL by this process
    #[arg(long, env = "DRYDOCK_DATABASE_POOL_SIZE", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub database_pool_size: u16,
    /// How long a statement may run before PostgreSQL cancels it
    #[arg(long, env = "DRYDOCK_DATABASE_STATEMENT_TIMEOUT", default_value = "15s", value_parser = positive_duration)]
    pub database_statement_timeout: Duration,
    /// How long to wait at start for PostgreSQL and its schema before giving up
    #[arg(long, env = "DRYDOCK_DATABASE_START_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub database_start_timeout: Duration,
    /// Start even if the database role owns Drydock's tables, so that nothing but the services' own care keeps one tenant's rows
    /// from another
    #[arg(long, env = "DRYDOCK_INSECURE_DATABASE_ROLE", default_value = "false", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub insecure_database_role: bool,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            database_pool_size: 16,
            database_statement_timeout: Duration::from_secs(15),
            database_start_timeout: Duration::from_secs(30),
            insecure_database_role: false,
        }
    }
}

/// The database's URL from the environment or a file.
///
/// # Errors
/// It is missing, given twice or unreadable.
pub fn url() -> Result<SecretString, ConfigError> {
    secret(URL)
}
