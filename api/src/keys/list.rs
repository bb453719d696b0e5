//! `GET /keys`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{api_key, page::Page};
use serde::Serialize;

use super::views::KeyView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of keys.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyList {
    items: Vec<KeyView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List keys
///
/// Revoked and expired ones too, and of none its secret.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = KeyList))
)]
pub(crate) async fn list_keys(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<KeyList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } =
        api_key::list(&app.client(caller.tenant).await?, caller.tenant, paging.after, paging.limit).await?;
    Ok(Json(KeyList {
        items: items.into_iter().map(KeyView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
