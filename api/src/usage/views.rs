//! Usage as clients see it.

use chrono::NaiveDate;
use drydock_database::{
    batch::BatchRow,
    tenant::TenantRow,
    usage::{Days, NamedTenant, Usage, UsageRow},
};
use drydock_domain::ProjectId;
use serde::Serialize;
use uuid::Uuid;

use crate::jobs::TokensView;

/// Jobs that ended, and what they used.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UsedView {
    /// Which UTC day, by day.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<NaiveDate>,
    /// Which one, by project, batch and tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// What it is called; batches and tenants have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    jobs: JobsView,
    /// Attempts of these jobs; not told by batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i64>,
    /// Seconds that attempts held slots: two at once for a second are two.
    slot_seconds: f64,
    /// Bytes of their logs; not told by batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_bytes: Option<i64>,
    /// Bytes of the workspaces' objects that nobody had stored before; not told by batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<i64>,
    /// Tokens, as the agents said when they ended.
    tokens: TokensView,
}

/// Jobs by how they ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JobsView {
    completed: i64,
    error: i64,
    cancelled: i64,
}

/// What was used on some days.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UsageList {
    /// The first day.
    since: NaiveDate,
    /// The last day, included.
    until: NaiveDate,
    items: Vec<UsedView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// What the tenant has now; not there for all tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<NowView>,
}

/// What a tenant has now, and what it may have.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NowView {
    /// Bytes of objects and logs.
    stored_bytes: i64,
    /// Most of them; none: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_storage_bytes: Option<i64>,
    /// Jobs of no batch that wait, where there is a quota, as far as it has been noticed that some have started.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_jobs: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_queued_jobs: Option<i32>,
    /// Most lines that its batches hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_held_jobs: Option<i32>,
}

impl From<TenantRow> for NowView {
    fn from(row: TenantRow) -> Self {
        Self {
            stored_bytes: row.stored_bytes,
            max_storage_bytes: row.max_storage_bytes,
            queued_jobs: row.queued_jobs,
            max_queued_jobs: row.max_queued_jobs,
            max_held_jobs: row.max_held_jobs,
        }
    }
}

impl UsageList {
    pub(super) fn new<T: Into<UsedView>>(days: Days, items: Vec<T>, next: Option<impl ToString>) -> Self {
        let items = items.into_iter().map(Into::into).collect();
        Self { since: days.first, until: days.last, items, next_cursor: next.map(|next| next.to_string()), now: None }
    }

    pub(super) fn with(self, tenant: Option<TenantRow>) -> Self {
        Self { now: tenant.map(NowView::from), ..self }
    }
}

impl From<Usage> for UsedView {
    fn from(usage: Usage) -> Self {
        let Usage { completed, error, cancelled, attempts, slot_ms, log_bytes, stored_bytes, tokens } = usage;
        Self {
            day: None,
            id: None,
            name: None,
            jobs: JobsView { completed, error, cancelled },
            attempts: Some(attempts),
            slot_seconds: seconds(slot_ms),
            log_bytes: Some(log_bytes),
            stored_bytes: Some(stored_bytes),
            tokens: tokens.into(),
        }
    }
}

impl From<UsageRow<NaiveDate>> for UsedView {
    fn from(row: UsageRow<NaiveDate>) -> Self {
        Self { day: Some(row.of), ..row.usage.into() }
    }
}

impl From<UsageRow<ProjectId>> for UsedView {
    fn from(row: UsageRow<ProjectId>) -> Self {
        Self { id: Some(row.of.uuid()), ..row.usage.into() }
    }
}

impl From<UsageRow<NamedTenant>> for UsedView {
    fn from(row: UsageRow<NamedTenant>) -> Self {
        let (id, name) = row.of;
        Self { id: Some(id.uuid()), name, ..row.usage.into() }
    }
}

impl From<BatchRow> for UsedView {
    fn from(row: BatchRow) -> Self {
        let (completed, error, cancelled) = (row.counts.completed, row.counts.error, row.counts.cancelled);
        Self {
            day: None,
            id: Some(row.id.uuid()),
            name: Some(row.name),
            jobs: JobsView { completed: completed.into(), error: error.into(), cancelled: cancelled.into() },
            attempts: None,
            slot_seconds: (row.slot_s * 1000.0).round() / 1000.0,
            log_bytes: None,
            stored_bytes: None,
            tokens: row.tokens.into(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years of slots")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
