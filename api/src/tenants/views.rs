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
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        let TenantRow { id, name, created_at } = row;
        Self { id, name, created_at }
    }
}
