//! `GET /webhooks/{id}`: one webhook, with its entity tag.

use axum::{extract::State, response::Response};
use drydock_database::webhook;

use super::views::WebhookView;
use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Show a webhook
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookView), (status = 404))
)]
pub(crate) async fn show_webhook(State(app): State<Shared>, caller: Caller, ids: Ids) -> Result<Response, ApiError> {
    let row = webhook::find(&app.client(caller.tenant).await?, caller.tenant, ids.webhook()?).await?;
    Ok(WebhookView::answer(row.ok_or(ApiError::NO_WEBHOOK)?, &caller))
}
