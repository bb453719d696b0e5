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
