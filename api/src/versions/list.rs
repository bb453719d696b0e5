//! `GET /projects/{id}/versions`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, project, version};
use serde::Serialize;

use super::views::VersionView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, MAX_PAGE, Query},
    state::Shared,
    validate::rules,
};

const DEFAULT_PAGE: usize = 50;

/// A page of versions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct VersionList {
    items: Vec<VersionView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List versions
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/versions", tag = "versions",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = VersionList), (status = 404))
)]
pub(crate) async fn list_versions(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<VersionList>, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let limit = fields.optional("limit", rules::number(1, MAX_PAGE)).unwrap_or(DEFAULT_PAGE);
    let before = fields.optional("cursor", rules::number(1, i32::MAX.into()));
    fields.finish(|| Some(()))?;
    let client = app.client(caller.tenant).await?;
    project::find(&client, caller.tenant, project).await?.ok_or(ApiError::NO_PROJECT)?;
    let Page { items, next } =
        version::list(&client, caller.tenant, project, before.unwrap_or(i32::MAX), limit).await?;
    Ok(Json(VersionList {
        items: items.into_iter().map(VersionView::from).collect(),
        next_cursor: next.map(|number| number.to_string()),
    }))
}
