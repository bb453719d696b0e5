//! `GET /batches/{id}`: one batch; `?wait=` holds the answer until it is over, or stands still.

use std::time::Duration;

use axum::{Json, extract::State};
use drydock_database::batch;
use drydock_domain::{BatchId, TenantId};
use tokio::time::Instant;

use super::views::BatchView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::{App, Shared},
    validate::rules,
};

/// Between two looks at a batch whose jobs move all the time.
pub(super) const PACE: Duration = Duration::from_millis(250);

/// Show a batch
#[utoipa::path(
    get, path = "/api/v1/batches/{id}", tag = "batches",
    params(
        ("id" = uuid::Uuid, Path),
        ("wait" = Option<String>, Query, description = "Hold the answer until the batch is over or paused, at most so long, like `30s`"),
    ),
    responses((status = 200, body = BatchView), (status = 404), (status = 422))
)]
pub(crate) async fn show_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<BatchView>, ApiError> {
    let id = ids.batch()?;
    let mut fields = query.fields();
    let wait = fields.optional("wait", rules::wait(app.config.wait_limit));
    let patience = fields.finish(|| Some(wait.unwrap_or_default()))?;
    let deadline = Instant::now() + patience;
    let mut watch = app.feed.watch();
    loop {
        let view = view(&app, caller.tenant, id).await?;
        let over = view.status.is_final() || view.pause_reason.is_some();
        if over || Instant::now() >= deadline || app.shutdown.is_triggered() {
            return Ok(Json(view));
        }
        tokio::select! {
            () = async { tokio::join!(watch.news(None), tokio::time::sleep(PACE)); } => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = app.shutdown.triggered() => {}
        }
    }
}

/// The batch as it stands.
pub(super) async fn view(app: &App, tenant: TenantId, id: BatchId) -> Result<BatchView, ApiError> {
    let row = batch::find(&app.client(tenant).await?, tenant, id).await?;
    row.map(BatchView::from).ok_or(ApiError::NO_BATCH)
}
