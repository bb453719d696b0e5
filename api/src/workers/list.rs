//! `GET /workers`: who is there.

use axum::{Json, extract::State};
use drydock_database::worker_list;
use serde::Serialize;

use super::views::WorkerView;
use crate::{error::ApiError, extract::Query, state::Shared, validate::rules};

/// Workers listed at most.
const MAX: i64 = 10_000;

/// The workers that have not ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WorkerList {
    items: Vec<WorkerView>,
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
    let rows = worker_list::list(&app.unscoped().await?, pool.as_deref(), MAX).await?;
    Ok(Json(WorkerList { items: rows.into_iter().map(WorkerView::from).collect() }))
}
