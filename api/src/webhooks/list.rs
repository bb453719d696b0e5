//! `GET /webhooks`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, webhook};
use serde::Serialize;

use super::views::WebhookView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of webhooks.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WebhookList {
    items: Vec<WebhookView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List webhooks
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = WebhookList))
)]
pub(crate) async fn list_webhooks(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<WebhookList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    let Paging { after, limit } = fields.finish(|| Some(paging))?;
    let Page { items, next } = webhook::list(&app.client(caller.tenant).await?, caller.tenant, after, limit).await?;
    Ok(Json(WebhookList {
        items: items.into_iter().map(|row| WebhookView::of(row, &caller)).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
