//! `POST /jobs/{id}/retry`: a new job that asks for the same as one that is over, and names it. Quarantined jobs are replayed so.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::job;

use super::{JobView, request::idempotency, submit::answer};
use crate::{
    audit::Draft,
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::Shared,
    validate::Fields,
};

/// Run a job again
///
/// Any job that is over. The new one asks for the same, at once: without its time, and without the dependencies that ended badly.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/retry", tag = "jobs",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    responses((status = 202, body = JobView), (status = 404), (status = 409, description = "It is not over"))
)]
pub(crate) async fn retry_job(
    State(app): State<Shared>,
    caller: Caller,
    draft: Draft,
    ids: Ids,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let id = ids.job()?;
    Fields::body(body.value)?.finish(|| Some(()))?;
    let client = app.client(caller.tenant).await?;
    let (state, mut new) = job::again(&client, caller.tenant, id).await?.ok_or(ApiError::NO_JOB)?;
    drop(client);
    if !state.is_terminal() {
        let detail = format!("Job is {state}: only a job that is over can be run again; it can be cancelled first");
        return Err(ApiError::Conflict(detail.into()));
    }
    if !new.job_type.is_submitted() {
        return Err(ApiError::Conflict("A session is not run again; start another with POST /sessions".into()));
    }
    new.idempotency = idempotency(&headers, &format!("POST /jobs/{id}/retry"), &body.raw)?;
    new.audit = Some(draft.accepted(new.id));
    answer(&app, caller.tenant, new, body.raw.len()).await
}
