//! `DELETE /schedules/{id}`: it fires no more; the jobs it made stay.

use axum::{extract::State, http::StatusCode};
use drydock_database::schedule;

use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Delete a schedule
#[utoipa::path(
    delete, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = 404))
)]
pub(crate) async fn delete_schedule(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<StatusCode, ApiError> {
    if schedule::delete(&app.client(caller.tenant).await?, caller.tenant, ids.schedule()?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NO_SCHEDULE)
    }
}
