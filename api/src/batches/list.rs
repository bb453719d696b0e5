//! `GET /batches`: the tenant's batches, newest first.

use axum::{Json, extract::State};
use drydock_database::{batch, page::Page};
use serde::Serialize;

use super::views::BatchView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of batches.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct BatchList {
    items: Vec<BatchView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List batches
#[utoipa::path(
    get, path = "/api/v1/batches", tag = "batches",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = BatchList))
)]
pub(crate) async fn list_batches(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<BatchList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } =
        batch::list(&app.client(caller.tenant).await?, caller.tenant, paging.after, paging.limit).await?;
    Ok(Json(BatchList {
        items: items.into_iter().map(BatchView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
