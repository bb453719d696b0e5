//! `POST /webhooks/{id}/rotate-secret`: a new secret, beside which the one before it signs for a day.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::webhook;
use drydock_webhook::SigningSecret;

use super::{request::vault, views::WebhookView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    keys::once_only,
    state::Shared,
    validate::Fields,
};

/// How long both sign: receivers take up the new one meanwhile.
const BOTH: Duration = Duration::from_hours(24);

/// Change a webhook's secret
///
/// The answer has the new one in `secret`, once. It signs beside the one before for 24 hours. Asked again meanwhile, as after an answer that got lost, both before it sign on.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate-secret", tag = "webhooks",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = WebhookView), (status = 404), (status = 503))
)]
pub(crate) async fn rotate_secret(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    once_only(&headers)?;
    Fields::body(body.value)?.finish(|| Some(()))?;
    let id = ids.webhook()?;
    let client = app.client(caller.tenant).await?;
    let found = webhook::find(&client, caller.tenant, id).await?;
    found.ok_or(ApiError::NO_WEBHOOK)?;
    let secret = SigningSecret::generate();
    webhook::rotate(&client, caller.tenant, id, &vault(&app)?.seal(id, &secret), BOTH).await?;
    let row = webhook::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    Ok(WebhookView::with_secret(row, &secret, StatusCode::OK))
}
