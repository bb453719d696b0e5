//! `POST /jobs/{id}/cancel`: over at once, or as soon as its worker has stopped it. Repeating it changes nothing.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use drydock_database::{
    DatabaseError,
    job::{self, Canceled},
};
use drydock_domain::{JobId, TenantId};

use super::{JobView, show::view};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::{App, Shared},
    validate::{Fields, rules},
};

/// Longest reason, in characters.
pub(crate) const MAX_REASON: usize = 500;

/// Body of a cancel, for the document; it may be left out.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct CancelBody {
    /// Kept with the job; at most 500 characters.
    reason: Option<String>,
}

/// Cancel a job
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = uuid::Uuid, Path)),
    request_body = Option<CancelBody>,
    responses(
        (status = 200, body = JobView, description = "It is over: by this, or before"),
        (status = 202, body = JobView, description = "Its worker is to stop it; nothing of it will be published"),
        (status = 404), (status = 422)
    )
)]
pub(crate) async fn cancel_job(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let id = ids.job()?;
    let mut fields = Fields::body(body.value)?;
    let reason = fields.optional("reason", rules::text(1, MAX_REASON));
    let reason = fields.finish(|| Some(reason))?;
    let status = match cancel(&app, caller.tenant, id, reason.as_deref()).await? {
        Canceled::Now => {
            app.waker.wake_all();
            StatusCode::OK
        }
        Canceled::Soon => {
            app.waker.wake_all();
            StatusCode::ACCEPTED
        }
        Canceled::Final => StatusCode::OK,
        Canceled::NoJob => return Err(ApiError::NO_JOB),
    };
    Ok((status, Json(view(&app, caller.tenant, id).await?)).into_response())
}

/// An answer that got lost is asked for once more: a cancel that landed is one that changes nothing now.
async fn cancel(app: &App, tenant: TenantId, id: JobId, reason: Option<&str>) -> Result<Canceled, DatabaseError> {
    let client = app.client(tenant).await?;
    match job::cancel(&client, tenant, id, reason).await {
        Err(error) if error.is_unavailable() && !error.is_timeout() => {
            drop(client);
            let again = job::cancel(&app.client(tenant).await?, tenant, id, reason).await?;
            // Who was not told that it landed has to wake whoever waits.
            app.waker.wake_all();
            Ok(again)
        }
        answer => answer,
    }
}
