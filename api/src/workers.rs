//! `GET /workers`: who is there.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use drydock_database::worker_list::{self, WorkerRow};
use drydock_domain::WorkerId;
use serde::Serialize;

use crate::{error::ApiError, extract::Query, state::Shared, validate::rules};

/// Workers listed at most.
const MAX: i64 = 10_000;

/// The workers that have not ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WorkerList {
    items: Vec<WorkerView>,
}

/// A worker.
#[derive(Serialize, utoipa::ToSchema)]
struct WorkerView {
    #[schema(value_type = Uuid)]
    id: WorkerId,
    instance: String,
    pool: String,
    /// `live`, `draining` or `lost` (its lease ran out).
    state: &'static str,
    slots: i32,
    /// Slots in use.
    busy: i64,
    agents: Vec<String>,
    isolation: String,
    /// How it makes workspaces.
    rung: String,
    /// Why not in a better way: the reason by rung.
    #[schema(value_type = HashMap<String, String>)]
    refused_rungs: serde_json::Value,
    /// Trees of versions on its node: jobs that start from one of them are offered to it first.
    held_trees: i64,
    build: String,
    lease_until: DateTime<Utc>,
    started_at: DateTime<Utc>,
}

impl From<WorkerRow> for WorkerView {
    fn from(row: WorkerRow) -> Self {
        let state = match (row.leased, row.draining) {
            (false, _) => "lost",
            (true, true) => "draining",
            (true, false) => "live",
        };
        Self {
            id: row.id,
            instance: row.instance,
            pool: row.pool,
            state,
            slots: row.slots,
            busy: row.busy,
            agents: row.agents,
            isolation: row.isolation,
            rung: row.rung,
            refused_rungs: row.refused_rungs,
            held_trees: row.held_trees,
            build: row.build,
            lease_until: row.lease_until,
            started_at: row.started_at,
        }
    }
}

/// List workers
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "fleet",
    params(("pool" = Option<String>, Query, description = "Only those of this pool")),
    responses((status = 200, body = WorkerList), (status = 422))
)]
pub(crate) async fn list_workers(State(app): State<Shared>, query: Query) -> Result<Json<WorkerList>, ApiError> {
    let mut fields = query.fields();
    let pool = fields.optional("pool", rules::name);
    let pool = fields.finish(|| Some(pool))?;
    let rows = worker_list::list(&app.client().await?, pool.as_deref(), MAX).await?;
    Ok(Json(WorkerList { items: rows.into_iter().map(WorkerView::from).collect() }))
}
