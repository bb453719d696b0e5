//! Settings of the worker.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use drydock_database::DatabaseConfig;
use drydock_queue::QueueConfig;
use drydock_runtime::{config::positive_duration, telemetry::TelemetryConfig};
use drydock_storage::StorageConfig;

use crate::{commands::Commands, isolation::IsolationConfig, lease::OnLostContact, workspace::Rung};
use drydock_agent::AgentsConfig;

/// Runs jobs: takes tickets, materializes workspaces, runs agents, pushes what they changed
///
/// Secrets come from the environment or from files: `DRYDOCK_DATABASE_URL`, `DRYDOCK_AMQP_URL`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, each also as `NAME_FILE`. An agent's own secrets (`OPENAI_API_KEY`, …) are passed on by name only.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "drydock-worker", version = drydock_runtime::build_info::VERSION)]
pub struct WorkerConfig {
    /// Address of the operations endpoints (/livez, /readyz, /metrics, /version)
    #[arg(long, env = "DRYDOCK_ADMIN_ADDR", default_value = "127.0.0.1:9092")]
    pub admin_addr: SocketAddr,
    /// The pool this worker serves: lower-case letters, digits and dashes
    #[arg(long, env = "DRYDOCK_POOL", default_value = "default", value_parser = pool_name)]
    pub pool: String,
    /// Jobs at once; the number of cores when unset
    #[arg(long, env = "DRYDOCK_SLOTS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
    /// Directory for workspaces, this worker's alone; on the fastest local disk
    #[arg(long, env = "DRYDOCK_SCRATCH_DIR", default_value = "/var/lib/drydock/scratch")]
    pub scratch_dir: PathBuf,
    /// Directory for contents of versions kept on this node, this worker's alone; `cache` in the scratch directory when
    /// unset. On the same file system as the scratch directory, best of all one that shares blocks (XFS, Btrfs)
    #[arg(long, env = "DRYDOCK_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Most bytes kept there; what no job has used for longest goes first. Half of the disk when unset
    #[arg(long, env = "DRYDOCK_CACHE_MAX_BYTES")]
    pub cache_max_bytes: Option<u64>,
    /// Bytes that stay free on its disk; 2 GiB when unset, or a twentieth of the disk where that is less
    #[arg(long, env = "DRYDOCK_CACHE_MIN_FREE_BYTES")]
    pub cache_min_free_bytes: Option<u64>,
    /// Most pieces of content kept there (a file is one, a bigger one has one for each 4 MiB); each takes 21 to 42 bytes of
    /// memory. What running jobs use may be more
    #[arg(long, env = "DRYDOCK_CACHE_MAX_PIECES", default_value_t = 1_000_000)]
    pub cache_max_pieces: u64,
    /// How workspaces are made; the best way this node allows when unset. One that it does not allow stops the start
    #[arg(long, env = "DRYDOCK_MATERIALIZE", value_enum)]
    pub materialize: Option<Rung>,
    /// Most bytes of a small push that go into the version's row instead of object storage; 0 puts all into object storage
    #[arg(long, env = "DRYDOCK_INLINE_MAX_BYTES", default_value_t = drydock_storage::Delta::INLINE_MAX, value_parser = inline_max)]
    pub inline_max_bytes: usize,
    /// How long the lease lasts; renewed every sixth of it
    #[arg(long, env = "DRYDOCK_LEASE_TTL", default_value = "60s", value_parser = positive_duration)]
    pub lease_ttl: Duration,
    /// What happens to running agents when the lease cannot be renewed for five sixths of it
    #[arg(long, env = "DRYDOCK_ON_LOST_CONTACT", default_value = "freeze", value_enum)]
    pub on_lost_contact: OnLostContact,
    /// How long agents may stay frozen without contact to PostgreSQL before they are killed
    #[arg(long, env = "DRYDOCK_FREEZE_LIMIT", default_value = "15m", value_parser = positive_duration)]
    pub freeze_limit: Duration,
    /// How long running jobs may go on after SIGTERM before they are handed back
    #[arg(long, env = "DRYDOCK_DRAIN_TIMEOUT", default_value = "5m", value_parser = positive_duration)]
    pub drain_timeout: Duration,
    /// How long a job's output and files wait for PostgreSQL and object storage to take them before the job runs again
    #[arg(long, env = "DRYDOCK_OUTAGE_PATIENCE", default_value = "30m", value_parser = positive_duration)]
    pub outage_patience: Duration,
    /// How long tickets may stay away, or RabbitMQ itself, before this worker asks PostgreSQL for them
    #[arg(long, env = "DRYDOCK_PULL_AFTER", default_value = "30s", value_parser = positive_duration)]
    pub pull_after: Duration,
    /// How long the ticket that fills the last slot is held before this worker stops consuming
    #[arg(long, env = "DRYDOCK_BRAKE_TIMEOUT", default_value = "60s", value_parser = positive_duration)]
    pub brake_timeout: Duration,
    /// Longest time between two flushes of a running job's log
    #[arg(long, env = "DRYDOCK_LOG_FLUSH", default_value = "100ms", value_parser = positive_duration)]
    pub log_flush: Duration,
    /// Most bytes of output kept per job; what is beyond is counted, not kept
    #[arg(long, env = "DRYDOCK_LOG_CAP_BYTES", default_value_t = 64 << 20)]
    pub log_cap_bytes: u64,
    /// Programs that command lines of jobs may name: any, or names and absolute paths separated by commas, like git,make. A shell has to be
    /// named like any other. What a program starts itself is not looked at
    #[arg(long, env = "DRYDOCK_COMMANDS", default_value = "any", value_parser = Commands::read)]
    pub commands: Commands,
    /// Isolation
    #[command(flatten)]
    pub isolation: IsolationConfig,
    /// Agents
    #[command(flatten)]
    pub agents: AgentsConfig,
    /// Process log
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// PostgreSQL
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// RabbitMQ
    #[command(flatten)]
    pub queue: QueueConfig,
    /// Object storage
    #[command(flatten)]
    pub storage: StorageConfig,
}

impl WorkerConfig {
    /// Jobs at once.
    pub fn slots(&self) -> u16 {
        let cores =
            || std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX));
        self.slots.unwrap_or_else(cores)
    }
}

impl WorkerConfig {
    /// Of the slots, those that sessions may take.
    pub fn session_slots(&self) -> u16 {
        self.agents.sessions.session_slots.unwrap_or_else(|| (self.slots() / 2).max(1))
    }
}

fn inline_max(text: &str) -> Result<usize, String> {
    let most = drydock_storage::Delta::INLINE_MAX;
    text.parse().ok().filter(|bytes| *bytes <= most).ok_or_else(|| format!("must be 0 to {most}"))
}

fn pool_name(text: &str) -> Result<String, String> {
    let fits = (1..=63).contains(&text.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits && plain {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 63 lower-case letters, digits and dashes".to_owned())
    }
}
