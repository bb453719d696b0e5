//! `DELETE /webhooks/{id}`: it is told of nothing more, nor of what is pending.

use axum::{extract::State, http::StatusCode};
use drydock_database::webhook;

use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Delete a webhook
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = 404))
)]
pub(crate) async fn delete_webhook(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<StatusCode, ApiError> {
    if webhook::delete(&app.client(caller.tenant).await?, caller.tenant, ids.webhook()?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NO_WEBHOOK)
    }
}
