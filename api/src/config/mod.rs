//! `ApiConfig`: every setting of the API, read once. Secrets come apart, from the environment or files.

mod connections;
mod cors;
mod list;
mod networks;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use drydock_database::DatabaseConfig;
use drydock_runtime::{
    config::{ConfigError, duration, positive_duration},
    telemetry::TelemetryConfig,
};
use drydock_storage::{Credentials, StorageConfig};
use drydock_webhook::{Vault, WebhookConfig};
use secrecy::SecretString;

pub use self::{
    connections::ConnectionConfig,
    cors::{CorsConfig, Flag},
    list::List,
    networks::Networks,
};

/// Settings of the HTTP API.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "drydock-api", about = "Drydock's HTTP API", disable_version_flag = true)]
pub struct ApiConfig {
    /// Address to serve on
    #[arg(long, env = "DRYDOCK_API_ADDR", default_value = "127.0.0.1:8080")]
    pub api_addr: SocketAddr,
    /// A second address for the operations endpoints alone
    #[arg(long, env = "DRYDOCK_ADMIN_ADDR")]
    pub admin_addr: Option<SocketAddr>,
    /// While no key exists, serve without authentication even on an address others can reach: only for private container
    /// networks. Once a key exists it changes nothing
    #[arg(long, env = "DRYDOCK_INSECURE_OPEN", default_value = "false", value_parser = cors::flag)]
    pub insecure_open: Flag,
    /// A file that says which OIDC issuers' tokens are taken beside keys; the README has its form
    #[arg(long, env = "DRYDOCK_OIDC_FILE", value_name = "FILE")]
    pub oidc_file: Option<PathBuf>,
    /// How long a key that was looked up is believed: a key revoked by another replica works here at most so long. The same for users
    /// and tenants
    #[arg(long, env = "DRYDOCK_API_KEY_CACHE", default_value = "5s", value_parser = positive_duration)]
    pub key_cache: Duration,
    /// Agent of projects that name none
    #[arg(long, env = "DRYDOCK_DEFAULT_AGENT", default_value = "codex")]
    pub default_agent: String,
    /// Pool of projects that name none
    #[arg(long, env = "DRYDOCK_DEFAULT_POOL", default_value = "default")]
    pub default_pool: String,
    /// Largest request body, in bytes
    #[arg(long, env = "DRYDOCK_API_BODY_LIMIT", default_value_t = 1024 * 1024)]
    pub body_limit: usize,
    /// Largest archive that may be imported, in bytes as sent
    #[arg(long, env = "DRYDOCK_API_IMPORT_LIMIT", default_value_t = 1024 * 1024 * 1024)]
    pub import_limit: u64,
    /// Longest time an import may take
    #[arg(long, env = "DRYDOCK_API_IMPORT_TIMEOUT", default_value = "10m", value_parser = positive_duration)]
    pub import_timeout: Duration,
    /// Largest file that may be put by itself, in bytes
    #[arg(long, env = "DRYDOCK_API_FILE_LIMIT", default_value_t = 100 * 1024 * 1024)]
    pub file_limit: u64,
    /// Where packs of an import are built before they are uploaded
    #[arg(long, env = "DRYDOCK_API_TEMP_DIR", default_value_os_t = std::env::temp_dir())]
    pub temp_dir: PathBuf,
    /// Uploads of files and archives at once; one tenant has at most a quarter of them
    #[arg(long, env = "DRYDOCK_API_UPLOAD_LIMIT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub upload_limit: u16,
    /// Open event and log streams at once
    #[arg(long, env = "DRYDOCK_API_STREAM_LIMIT", default_value_t = 1000)]
    pub stream_limit: usize,
    /// Searches in logs at once; of one tenant at most half of them, rounded up
    #[arg(long, env = "DRYDOCK_API_SEARCH_LIMIT", default_value = "4")]
    pub search_limit: NonZeroUsize,
    /// Longest time one request may search in logs; the answer says where to go on
    #[arg(long, env = "DRYDOCK_API_SEARCH_TIME", default_value = "5s", value_parser = positive_duration)]
    pub search_time: Duration,
    /// Longest time a request may ask to wait for a job
    #[arg(long, env = "DRYDOCK_API_WAIT_LIMIT", default_value = "10m", value_parser = positive_duration)]
    pub wait_limit: Duration,
    /// Longest time a session may wait for a worker to take it
    #[arg(long, env = "DRYDOCK_API_SESSION_WAIT", default_value = "30s", value_parser = positive_duration)]
    pub session_wait: Duration,
    /// How long the work that a daemon has in hand stays its own, and its project's jobs wait for it, after it was last heard of
    #[arg(long, env = "DRYDOCK_API_DAEMON_LEASE", default_value = "15m", value_parser = positive_duration)]
    pub daemon_lease: Duration,
    /// Daemons connected at once
    #[arg(long, env = "DRYDOCK_API_DAEMON_LIMIT", default_value_t = 1000)]
    pub daemon_limit: u16,
    /// Server of sessions that older clients ask for
    #[arg(long, env = "DRYDOCK_DEFAULT_SESSION_SERVER", default_value = "serena")]
    pub default_session_server: String,
    /// A further address for `/request-session` and `/release-session` alone, such as 127.0.0.1:8888
    #[arg(long, env = "DRYDOCK_INSTANCE_MANAGER_ADDR")]
    pub instance_manager_addr: Option<SocketAddr>,
    /// Requests a second that may make jobs, for each tenant and each API process; 0 is no limit. A batch's request counts once
    #[arg(long, env = "DRYDOCK_API_JOB_RATE", default_value_t = 20)]
    pub job_rate: u32,
    /// How many of them may come at once
    #[arg(long, env = "DRYDOCK_API_JOB_BURST", default_value = "100")]
    pub job_burst: NonZeroU32,
    /// Other requests a second that may change something and are recorded in the audit log, whatever comes of them, for each tenant and
    /// each API process; 0 is no limit
    #[arg(long, env = "DRYDOCK_API_CHANGE_RATE", default_value_t = 50)]
    pub change_rate: u32,
    /// How many of them may come at once
    #[arg(long, env = "DRYDOCK_API_CHANGE_BURST", default_value = "1000")]
    pub change_burst: NonZeroU32,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses and networks, separated by commas. Of all others these
    /// headers are ignored
    #[arg(long, env = "DRYDOCK_API_TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: Networks,
    /// How long browsers insist on TLS after an answer; 0 is not at all. Unset, a year for clients that a trusted proxy says came by TLS
    #[arg(long, env = "DRYDOCK_API_HSTS", value_parser = duration)]
    pub hsts: Option<Duration>,
    /// API keys and tokens a minute that are nobody's and that one address may present, to each API process; 0 is no limit. Beyond it the
    /// answer is 429; keys that count are not held up
    #[arg(long, env = "DRYDOCK_API_BAD_KEY_RATE", default_value_t = 60)]
    pub bad_key_rate: u32,
    /// How many of them may come at once
    #[arg(long, env = "DRYDOCK_API_BAD_KEY_BURST", default_value = "20")]
    pub bad_key_burst: NonZeroU32,
    /// Memory for decoded file lists, in bytes
    #[arg(long, env = "DRYDOCK_API_MANIFEST_CACHE", default_value_t = 32 * 1024 * 1024)]
    pub manifest_cache: usize,
    /// How long running requests may go on after the stop began
    #[arg(long, env = "DRYDOCK_API_SHUTDOWN_GRACE", default_value = "30s", value_parser = positive_duration)]
    pub shutdown_grace: Duration,
    /// Limits of connections.
    #[command(flatten)]
    pub connections: ConnectionConfig,
    /// Who may call from a browser.
    #[command(flatten)]
    pub cors: CorsConfig,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Object storage.
    #[command(flatten)]
    pub storage: StorageConfig,
    /// Where webhooks may point.
    #[command(flatten)]
    pub webhooks: WebhookConfig,
    /// The process log.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// What no argument list may show.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// URL of the database.
    pub database_url: SecretString,
    /// Key pair of object storage.
    pub credentials: Credentials,
    /// What secrets of webhooks are kept with; without it none can be made.
    pub webhook_keys: Option<Vault>,
}

impl Secrets {
    /// Reads them from the environment or the files it names.
    ///
    /// # Errors
    /// One is missing, given twice or unreadable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            database_url: drydock_database::config::url()?,
            credentials: Credentials::from_env()?,
            webhook_keys: Vault::from_env()?,
        })
    }
}

impl ApiConfig {
    /// Checks what no single setting can.
    ///
    /// # Errors
    /// Settings that do not go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.cors.check()
    }
}
