//! Workspaces that daemons hold, and what lets daemons in.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A project's workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct Workspace {
    /// Its id, which is its project's.
    pub id: String,
    /// `connected`, `syncing` or `disconnected`.
    pub status: String,
    /// Whether the project's jobs go to a daemon, which may be away for a moment.
    pub takes_jobs: bool,
    /// When the newest connection was made.
    pub connected_at: Option<DateTime<Utc>>,
    /// When its daemon was last heard of.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// A daemon's token.
#[derive(Clone, Debug, Deserialize)]
pub struct DaemonToken {
    /// Its id.
    pub id: String,
    /// For lists.
    pub name: String,
    /// The part of it that is no secret.
    pub prefix: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A daemon's token as it is made: the only time its text is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct NewDaemonToken {
    /// Its id.
    pub id: String,
    /// Its text.
    pub token: String,
}
