//! `POST /webhooks/{id}/test`: a message that tells of nothing, to see whether it arrives.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use drydock_database::{
    GenericClient,
    wake::Channel,
    webhook::{self, WebhookRow},
};
use drydock_domain::{DeliveryId, TenantId, WebhookId};

use super::views::DeliveryView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::Shared,
    validate::Fields,
};

/// Test a webhook
///
/// Sends a `webhook.test` message, with the tries of any other.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 202, body = DeliveryView), (status = 404), (status = 409, description = "It is paused or disabled"))
)]
pub(crate) async fn test_webhook(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    Fields::body(body.value)?.finish(|| Some(()))?;
    let id = ids.webhook()?;
    let client = app.client(caller.tenant).await?;
    live(&client, caller.tenant, id).await?;
    let delivery = DeliveryId::generate();
    webhook::test(&client, caller.tenant, id, delivery).await?;
    app.waker.wake(Channel::Work);
    let row = webhook::delivery(&client, caller.tenant, id, delivery).await?.ok_or(ApiError::NO_WEBHOOK)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::from(row))).into_response())
}

/// The webhook, if anything is sent to it.
pub(super) async fn live(conn: &impl GenericClient, tenant: TenantId, id: WebhookId) -> Result<WebhookRow, ApiError> {
    let row = webhook::find(conn, tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    if row.is_live() {
        return Ok(row);
    }
    let why = if row.disabled.is_some() { "disabled" } else { "paused" };
    Err(ApiError::Conflict(format!("Webhook is {why}: set paused to false first").into()))
}
