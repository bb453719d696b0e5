//! Sessions.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A session.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// Its id, which is its job's.
    pub session_id: String,
    /// On whose workspace.
    pub project_id: String,
    /// Which of the workers' servers.
    pub server: String,
    /// `starting`, `ready`, `releasing`, `terminated` or `failed`.
    pub status: String,
    /// Where it is reached, once it is ready.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<u16>,
    /// Whether its changes are discarded.
    #[serde(default)]
    pub read_only: bool,
    /// Seconds without a connection after which it ends.
    pub idle_timeout_s: Option<u32>,
    /// What its project shows of it.
    pub preview_url: Option<String>,
    /// The worker that has it, or had it.
    pub worker: Option<String>,
    /// The version that its changes became.
    pub version: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it took connections.
    pub ready_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Session {
    /// `host:port`, once it is ready.
    pub fn address(&self) -> Option<String> {
        let (host, port) = (self.host.as_ref()?, self.port?);
        Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }
}

/// What became of a session that was to end.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionEnd {
    /// `terminated` or `already_gone`.
    pub status: String,
    /// Which.
    pub session_id: String,
    /// The version that its changes became.
    pub version: Option<i32>,
    /// Why its changes became none.
    pub error: Option<String>,
}
