//! `GET /tenants`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, tenant};
use serde::Serialize;

use super::views::TenantView;
use crate::{
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of tenants.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TenantList {
    items: Vec<TenantView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List tenants
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "tenants",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = TenantList))
)]
pub(crate) async fn list_tenants(State(app): State<Shared>, query: Query) -> Result<Json<TenantList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } = tenant::list(&app.unscoped().await?, paging.after, paging.limit).await?;
    Ok(Json(TenantList {
        items: items.into_iter().map(TenantView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
