//! Usage.

use serde::Deserialize;

/// What was used on a day, or by a project, a batch or a tenant.
#[derive(Clone, Debug, Deserialize)]
pub struct Used {
    /// The UTC day.
    pub day: Option<String>,
    /// Whose.
    pub id: Option<String>,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Jobs that ended.
    pub jobs: EndedJobs,
    /// Their attempts.
    pub attempts: Option<u64>,
    /// How long these held slots.
    pub slot_seconds: f64,
    /// Bytes of their logs.
    pub log_bytes: Option<u64>,
    /// Bytes they stored first.
    pub stored_bytes: Option<u64>,
    /// Their tokens.
    #[serde(default)]
    pub tokens: Tokens,
}

/// Jobs by how they ended.
#[derive(Clone, Debug, Deserialize)]
pub struct EndedJobs {
    /// Well.
    pub completed: u64,
    /// Badly.
    pub error: u64,
    /// By being cancelled.
    pub cancelled: u64,
}

/// Tokens that agents say they used.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Of these, those that a cache had.
    pub cached_input: u64,
    /// Written.
    pub output: u64,
}

/// What the tenant has now, beside what it used.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Now {
    /// Bytes of objects and logs.
    pub stored_bytes: u64,
    /// Most of them.
    pub max_storage_bytes: Option<u64>,
    /// Jobs of no batch that wait, where there is a quota.
    pub queued_jobs: Option<u64>,
    /// Most of them.
    pub max_queued_jobs: Option<u64>,
}

/// Usage by day, which is one page.
#[derive(Clone, Debug, Deserialize)]
pub struct UsedDays {
    /// The days.
    pub items: Vec<Used>,
    /// What there is now; older servers do not say.
    pub now: Option<Now>,
}
