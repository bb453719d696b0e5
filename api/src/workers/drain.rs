//! `POST` and `DELETE /workers/{id}/drain`: a worker takes no more jobs, and takes jobs again. From the answer on no claim of it succeeds;
//! it hears of it with its next renewal, after a sixth of its lease at most. Kept with the worker, so until it ends.

use axum::{Json, extract::State};
use drydock_database::{
    wake::Channel,
    worker::{self, DrainAsked},
};

use super::{show::view, views::WorkerView};
use crate::{
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::Shared,
    validate::Fields,
};

/// Drain a worker
///
/// It takes no more jobs, finishes those it runs, and stays: `state` is `draining`, then `drained`. Its next start is not drained. Repeating
/// it changes nothing.
#[utoipa::path(
    post, path = "/api/v1/workers/{id}/drain", tag = "fleet",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WorkerView), (status = 404))
)]
pub(crate) async fn drain_worker(
    State(app): State<Shared>,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Json<WorkerView>, ApiError> {
    Fields::body(body.value)?.finish(|| Some(()))?;
    let id = ids.worker()?;
    match worker::ask_to_drain(&app.unscoped().await?, id, true).await? {
        DrainAsked::NoWorker => Err(ApiError::NO_WORKER),
        DrainAsked::Done | DrainAsked::Stopping => view(&app, id).await,
    }
}

/// Let a drained worker take jobs again
///
/// Repeating it changes nothing, nor does asking a worker that was never drained.
#[utoipa::path(
    delete, path = "/api/v1/workers/{id}/drain", tag = "fleet",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = WorkerView),
        (status = 404),
        (status = 409, description = "It stops, and takes no more jobs whatever is asked")
    )
)]
pub(crate) async fn undrain_worker(State(app): State<Shared>, ids: Ids) -> Result<Json<WorkerView>, ApiError> {
    let id = ids.worker()?;
    match worker::ask_to_drain(&app.unscoped().await?, id, false).await? {
        DrainAsked::NoWorker => Err(ApiError::NO_WORKER),
        DrainAsked::Stopping => Err(ApiError::Conflict(
            "The worker drains because it stops, which cannot be taken back; start another in its place".into(),
        )),
        DrainAsked::Done => {
            // Its slots count again: there may be jobs for them.
            app.waker.wake(Channel::Work);
            view(&app, id).await
        }
    }
}
