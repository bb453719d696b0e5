//! Batches and their lines.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Tokens;

/// A batch.
#[derive(Clone, Debug, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// For lists.
    pub name: String,
    /// The public status.
    pub status: String,
    /// The finer state.
    pub status_detail: String,
    /// Lines.
    pub total: u64,
    /// Jobs by status.
    pub counts: Counts,
    /// Of the queued ones, those not let go yet.
    #[serde(default)]
    pub held: u64,
    /// No further lines come.
    #[serde(default)]
    pub closed: bool,
    /// Why it lets no further jobs go.
    pub pause_reason: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// Slot time used, in minutes.
    #[serde(default)]
    pub slot_minutes: f64,
    /// Tokens used.
    #[serde(default)]
    pub tokens: Tokens,
    /// Jobs that ended a second, of late.
    pub rate_per_s: Option<f64>,
    /// Seconds to its end.
    pub eta_s: Option<i64>,
    /// The user's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// So many go first.
    pub canary: Option<u32>,
    /// Most jobs under way at once.
    pub max_running: Option<u32>,
    /// The share of failures it pauses beyond.
    pub max_failure_rate: Option<f64>,
    /// The slot time it pauses at, in minutes.
    pub budget_slot_minutes: Option<i64>,
    /// The tokens it pauses at.
    pub budget_tokens: Option<u64>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its first job started.
    pub started_at: Option<DateTime<Utc>>,
    /// When all its jobs were over.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Jobs by status.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Waiting.
    pub queued: u64,
    /// Running.
    pub in_progress: u64,
    /// Ended well.
    pub completed: u64,
    /// Failed.
    pub error: u64,
    /// Cancelled.
    pub cancelled: u64,
}

/// What came of the lines of a request.
#[derive(Clone, Debug, Deserialize)]
pub struct Lines {
    /// New jobs.
    pub accepted: usize,
    /// Lines that came before.
    pub replayed: usize,
    /// Lines that made no job.
    pub refused: usize,
    /// The first of those.
    pub errors: Vec<LineError>,
}

/// Why a line was refused.
#[derive(Clone, Debug, Deserialize)]
pub struct LineError {
    /// From 1.
    pub line: u64,
    /// A text, or the rows of a validation error.
    pub detail: serde_json::Value,
}

/// Lines that run again.
#[derive(Clone, Debug, Deserialize)]
pub struct Retried {
    /// How many.
    pub retried: u64,
    /// The batch then.
    pub batch: Batch,
}

/// Jobs that failed alike.
#[derive(Clone, Debug, Deserialize)]
pub struct Cause {
    /// Why the last attempt ended badly.
    pub failure_kind: String,
    /// The first error, with what differs taken out.
    pub cause: String,
    /// How many.
    pub jobs: u64,
    /// The first of them.
    pub job_ids: Vec<String>,
}
