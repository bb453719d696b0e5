//! `POST /batches/{id}/close|pause|resume|cancel`: each is done once, however often it is asked for.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use drydock_database::batch::{self, Changed};
use drydock_domain::{BatchId, TenantId};

use super::{show::view, views::BatchView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    jobs::{CancelBody, MAX_REASON},
    state::{App, Shared},
    validate::{Fields, rules},
};

/// Close a batch
///
/// It takes no further lines, and is over once all its jobs are.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/close", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = BatchView), (status = 404), (status = 422))
)]
pub(crate) async fn close_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: OptionalJson,
) -> Result<Json<BatchView>, ApiError> {
    let id = bare(&ids, body)?;
    answer(&app, caller.tenant, id, batch::close(&app.client(caller.tenant).await?, caller.tenant, id).await?).await
}

/// Pause a batch
///
/// It lets no further jobs go and takes back those that wait; those that a worker has, or is about to have, go on.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/pause", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = BatchView), (status = 404), (status = 409, description = "It is over, or being cancelled"), (status = 422))
)]
pub(crate) async fn pause_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: OptionalJson,
) -> Result<Json<BatchView>, ApiError> {
    let id = bare(&ids, body)?;
    answer(&app, caller.tenant, id, batch::pause(&app.client(caller.tenant).await?, caller.tenant, id).await?).await
}

/// Resume a batch
///
/// After a canary that failed, all go; a failure rate counts anew from here; a budget that is used up has to be raised first, and of
/// the tenant's stored bytes there must be room.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/resume", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = BatchView), (status = 404), (status = 409, description = "It is over, being cancelled, or out of budget or storage"), (status = 422))
)]
pub(crate) async fn resume_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: OptionalJson,
) -> Result<Json<BatchView>, ApiError> {
    let id = bare(&ids, body)?;
    answer(&app, caller.tenant, id, batch::resume(&app.client(caller.tenant).await?, caller.tenant, id).await?).await
}

/// Cancel a batch
///
/// No further lines, no further jobs; what runs is stopped and publishes nothing.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/cancel", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    request_body = Option<CancelBody>,
    responses(
        (status = 200, body = BatchView, description = "It was over"),
        (status = 202, body = BatchView, description = "Its jobs end by and by"),
        (status = 404), (status = 422)
    )
)]
pub(crate) async fn cancel_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let id = ids.batch()?;
    let mut fields = Fields::body(body.value)?;
    let reason = fields.optional("reason", rules::text(1, MAX_REASON));
    let reason = fields.finish(|| Some(reason))?;
    let changed = batch::cancel(&app.client(caller.tenant).await?, caller.tenant, id, reason.as_deref()).await?;
    let status = if changed == Changed::Final { StatusCode::OK } else { StatusCode::ACCEPTED };
    if changed != Changed::Final {
        settled(changed)?;
    }
    app.waker.wake_all();
    Ok((status, Json(view(&app, caller.tenant, id).await?)).into_response())
}

fn bare(ids: &Ids, OptionalJson(body): OptionalJson) -> Result<BatchId, ApiError> {
    Fields::body(body.value)?.finish(|| Some(()))?;
    ids.batch()
}

async fn answer(app: &App, tenant: TenantId, id: BatchId, changed: Changed) -> Result<Json<BatchView>, ApiError> {
    settled(changed)?;
    app.waker.wake_all();
    view(app, tenant, id).await.map(Json)
}

/// What stands in the way of a change, in words.
pub(super) fn settled(changed: Changed) -> Result<(), ApiError> {
    match changed {
        Changed::Done => Ok(()),
        Changed::NoBatch => Err(ApiError::NO_BATCH),
        Changed::Final => Err(ApiError::Conflict("Batch is over; its failures can be run again".into())),
        Changed::Cancelling => Err(ApiError::Conflict("Batch is cancelled".into())),
        Changed::Budget => {
            let detail = "Batch has used up its slot time or its tokens: raise budget_slot_minutes or budget_tokens, then resume it";
            Err(ApiError::Conflict(detail.into()))
        }
        Changed::Storage => {
            let detail = "The tenant has used up its quota of stored bytes: delete projects or keep fewer versions, or have an operator \
                          raise it, then resume the batch";
            Err(ApiError::Conflict(detail.into()))
        }
    }
}
