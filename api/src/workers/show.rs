//! `GET /workers/{id}`: one worker.

use axum::{Json, extract::State};
use drydock_database::worker_list;
use drydock_domain::WorkerId;

use super::views::WorkerView;
use crate::{
    error::ApiError,
    extract::Ids,
    state::{App, Shared},
};

/// Show a worker
///
/// One that has ended is not found.
#[utoipa::path(
    get, path = "/api/v1/workers/{id}", tag = "fleet",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WorkerView), (status = 404))
)]
pub(crate) async fn show_worker(State(app): State<Shared>, ids: Ids) -> Result<Json<WorkerView>, ApiError> {
    view(&app, ids.worker()?).await
}

/// The worker as it is now.
pub(super) async fn view(app: &App, id: WorkerId) -> Result<Json<WorkerView>, ApiError> {
    let row = worker_list::find(&app.unscoped().await?, id).await?;
    Ok(Json(row.ok_or(ApiError::NO_WORKER)?.into()))
}
