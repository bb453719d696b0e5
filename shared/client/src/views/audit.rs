//! The audit log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A request that may have changed something.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditEntry {
    /// When it came.
    pub at: DateTime<Utc>,
    /// What was asked for.
    pub action: String,
    /// Who asked.
    pub actor: AuditActor,
    /// What the key is called.
    pub key_name: Option<String>,
    /// What the key's user is called.
    pub user_name: Option<String>,
    /// What it was asked of.
    pub target: Option<String>,
    /// What it made.
    pub created: Option<String>,
    /// What came of it, where that is known.
    pub outcome: Option<String>,
    /// The answer's status.
    pub status: Option<u16>,
    /// What it changed, by field.
    #[serde(default)]
    pub changes: BTreeMap<String, AuditChange>,
    /// The peer's address.
    pub ip: Option<String>,
}

/// By what right somebody asked.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditActor {
    /// `key`, `anyone`, `operator`, ….
    pub kind: String,
}

/// What a field was, where that is known, and what it is.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditChange {
    /// Before.
    pub from: Option<serde_json::Value>,
    /// Now.
    pub to: serde_json::Value,
}
