//! `POST /batches/{id}/retry-failed`: every line that failed runs again, as a new job that names the old one.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use drydock_database::{batch, schedule};
use serde::Serialize;

use super::{settle::settled, show::view, views::BatchView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::Shared,
    validate::Fields,
};

/// Jobs of one transaction.
const CHUNK: usize = 1000;

/// What was run again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Retried {
    /// Lines.
    retried: usize,
    batch: BatchView,
}

/// Run a batch's failures again
///
/// Those that had failed when this was asked for, each line once: repeating it finds none. A paused batch stays paused.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/retry-failed", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 202, body = Retried), (status = 404), (status = 409, description = "It was cancelled"), (status = 422))
)]
pub(crate) async fn retry_failed(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let id = ids.batch()?;
    Fields::body(body.value)?.finish(|| Some(()))?;
    let client = app.client(caller.tenant).await?;
    // What fails while this goes on is not run again and again.
    let before = schedule::now(&client).await?;
    let mut retried = 0;
    loop {
        match batch::retry_failed(&client, caller.tenant, id, before, CHUNK).await? {
            Ok(0) => break,
            Ok(more) => retried += more,
            Err(changed) => settled(changed)?,
        }
    }
    drop(client);
    app.waker.wake_all();
    Ok((StatusCode::ACCEPTED, Json(Retried { retried, batch: view(&app, caller.tenant, id).await? })).into_response())
}
