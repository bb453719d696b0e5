//! `GET /webhooks/{id}/deliveries`: what was told, newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, webhook};
use serde::Serialize;

use super::views::DeliveryView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Paging, Query},
    state::Shared,
};

/// A page of deliveries.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryList {
    items: Vec<DeliveryView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List a webhook's deliveries
///
/// They are kept for some days after they have ended.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = DeliveryList), (status = 404))
)]
pub(crate) async fn list_deliveries(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<DeliveryList>, ApiError> {
    let id = ids.webhook()?;
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    let Paging { after, limit } = fields.finish(|| Some(paging))?;
    let client = app.client(caller.tenant).await?;
    webhook::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    let Page { items, next } = webhook::deliveries(&client, caller.tenant, id, after, limit).await?;
    Ok(Json(DeliveryList {
        items: items.into_iter().map(DeliveryView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
