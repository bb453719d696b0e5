//! `POST /webhooks/{id}/deliveries/{delivery}/redeliver`: the same message once more, under the same id.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use drydock_database::{wake::Channel, webhook};

use super::{test::live, views::DeliveryView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    state::Shared,
    validate::Fields,
};

/// Send a delivery again
///
/// At once, whatever became of it, with all its tries before it. Its `webhook-id` stays, so that a receiver that had it knows.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", tag = "webhooks",
    params(("id" = uuid::Uuid, Path), ("delivery" = uuid::Uuid, Path)),
    responses((status = 202, body = DeliveryView), (status = 404), (status = 409, description = "The webhook is paused or disabled"))
)]
pub(crate) async fn redeliver(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    Fields::body(body.value)?.finish(|| Some(()))?;
    let (id, delivery) = (ids.webhook()?, ids.delivery()?);
    let client = app.client(caller.tenant).await?;
    let found = webhook::find(&client, caller.tenant, id).await?;
    found.ok_or(ApiError::NO_WEBHOOK)?;
    let found = webhook::delivery(&client, caller.tenant, id, delivery).await?;
    found.ok_or(ApiError::NO_DELIVERY)?;
    live(&client, caller.tenant, id).await?;
    webhook::redeliver(&client, caller.tenant, id, delivery).await?;
    app.waker.wake(Channel::Work);
    let row = webhook::delivery(&client, caller.tenant, id, delivery).await?.ok_or(ApiError::NO_DELIVERY)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::from(row))).into_response())
}
