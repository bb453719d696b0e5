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
    created_at: DateTime<Utc>,
    /// Since when its keys count no more and nothing of it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<DateTime<Utc>>,
}

impl From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        let TenantRow { id, name, weight, created_at, disabled_at, revision: _, max_projects, projects, max_running } =
            row;
        Self { id, name, weight, max_projects, projects, max_running, created_at, disabled_at }
    }
}
