//! A tenant as operators see it.

use chrono::{DateTime, Utc};
use drydock_database::tenant::TenantRow;
use drydock_domain::TenantId;
use serde::Serialize;

/// A tenant.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TenantView {
    #[schema(value_type = Uuid)]
    id: TenantId,
    name: String,
    /// Its share of the fleet, over those of the others that want slots.
    weight: i32,
    /// Most projects it may have, and how many of these it has, counted up to that; none: as many as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_projects: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<i64>,
    /// Most slots it holds at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<i32>,
    /// Most jobs of no batch that wait, and how many do, as far as it has been noticed that some have started.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_queued_jobs: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_jobs: Option<i64>,
    /// Most lines that its batches hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_held_jobs: Option<i32>,
    /// Most bytes of objects and logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_storage_bytes: Option<i64>,
    /// Bytes of objects and logs that are stored for it.
    stored_bytes: i64,
    created_at: DateTime<Utc>,
    /// Since when its keys count no more and nothing of it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<DateTime<Utc>>,
}

impl From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            weight: row.weight,
            max_projects: row.max_projects,
            projects: row.projects,
            max_running: row.max_running,
            max_queued_jobs: row.max_queued_jobs,
            queued_jobs: row.queued_jobs,
            max_held_jobs: row.max_held_jobs,
            max_storage_bytes: row.max_storage_bytes,
            stored_bytes: row.stored_bytes,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
        }
    }
}
