//! A batch as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::batch::{BatchRow, Counts};
use drydock_domain::{BatchId, Status};
use serde::Serialize;
use serde_json::Value;

use crate::jobs::TokensView;

/// A batch.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct BatchView {
    #[schema(value_type = Uuid)]
    pub(super) id: BatchId,
    name: String,
    /// `queued`, `in_progress`, `completed`, `error` or `cancelled`.
    #[schema(value_type = String)]
    pub(super) status: Status,
    /// Finer than `status`: `open` (no line yet), `queued`, `canary`, `running`, `paused`, `cancelling`; new words may come.
    status_detail: &'static str,
    /// Lines accepted; of each one job counts.
    total: i32,
    counts: CountsView,
    /// Of the queued ones, those it has not let go to the fleet.
    held: i32,
    /// No further lines come.
    pub(super) closed: bool,
    /// Why it lets no further jobs go: `asked`, `canary`, `failure_rate`, `budget` (of slot time or of tokens) or `storage` (the tenant's
    /// quota).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pause_reason: Option<&'static str>,
    /// Why it was cancelled, as said by who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
    /// Slot time its attempts have used so far, in minutes.
    slot_minutes: f64,
    /// Tokens its attempts have used so far, as their agents said when they ended.
    tokens: TokensView,
    /// Jobs that ended a second, of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_s: Option<f64>,
    /// Seconds to its end at that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<i64>,
    #[schema(value_type = crate::openapi::Labels)]
    labels: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_failure_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_slot_minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    /// Where to read what came of each line.
    results_path: String,
}

/// Jobs by status.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CountsView {
    queued: i32,
    in_progress: i32,
    completed: i32,
    error: i32,
    cancelled: i32,
}

impl From<BatchRow> for BatchView {
    fn from(row: BatchRow) -> Self {
        let (status, status_detail) = standing(&row);
        let Counts { queued, in_progress, completed, error, cancelled } = row.counts;
        let going = row.paused.is_none() && row.finished_at.is_none();
        Self {
            id: row.id,
            status,
            status_detail,
            total: row.counts.total(),
            counts: CountsView { queued, in_progress, completed, error, cancelled },
            held: row.held,
            closed: row.closed,
            pause_reason: row.paused.map(|reason| reason.as_str()),
            cancel_reason: row.cancel_reason,
            slot_minutes: (row.slot_s / 0.6).round() / 100.0,
            tokens: row.tokens.into(),
            rate_per_s: row.rate.filter(|_| going).map(|rate| (rate * 1000.0).round() / 1000.0),
            eta_s: row.rate.filter(|_| going).map(|rate| whole(f64::from(queued + in_progress) / rate)),
            name: row.name,
            labels: row.labels,
            canary: row.settings.canary,
            max_running: row.settings.max_running,
            max_failure_rate: row.settings.max_failure_rate.map(|rate| (rate * 1e6).round() / 1e6),
            budget_slot_minutes: row.settings.budget_slot_s.map(|seconds| seconds / 60),
            budget_tokens: row.settings.budget_tokens,
            created_at: row.created_at,
            updated_at: row.updated_at,
            started_at: row.started_at,
            paused_at: row.paused_at,
            finished_at: row.finished_at,
            results_path: format!("/api/v1/batches/{}/results", row.id),
        }
    }
}

/// Over, it is as good as its worst job.
fn standing(row: &BatchRow) -> (Status, &'static str) {
    let counts = row.counts;
    if row.finished_at.is_some() {
        return match (row.cancelling || counts.cancelled > 0, counts.error) {
            (_, 1..) if !row.cancelling => (Status::Error, "error"),
            (true, _) => (Status::Cancelled, "cancelled"),
            _ => (Status::Completed, "completed"),
        };
    }
    let begun = counts.in_progress > 0 || counts.ended() > 0;
    let status = if begun { Status::InProgress } else { Status::Queued };
    let detail = if row.cancelling {
        "cancelling"
    } else if row.paused.is_some() {
        "paused"
    } else if counts.total() == 0 {
        "open"
    } else if row.settings.canary.is_some() && !row.canary_passed {
        "canary"
    } else if begun {
        "running"
    } else {
        "queued"
    };
    (status, detail)
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, beyond any time that matters")]
fn whole(seconds: f64) -> i64 {
    seconds.max(0.0).ceil() as i64
}
