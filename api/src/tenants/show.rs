//! `GET /tenants/{id}`: one tenant.

use axum::{extract::State, response::Response};
use drydock_database::tenant;

use super::views::TenantView;
use crate::{
    error::ApiError,
    extract::{Ids, tagged},
    state::Shared,
};

/// Show a tenant
///
/// `ETag` is its revision, for `If-Match` of a change.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = TenantView), (status = 404))
)]
pub(crate) async fn show_tenant(State(app): State<Shared>, ids: Ids) -> Result<Response, ApiError> {
    let row = tenant::find(&app.unscoped().await?, ids.tenant()?).await?.ok_or(ApiError::NO_TENANT)?;
    Ok(tagged(row.revision, TenantView::from(row)))
}
