//! `GET /projects`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, project};
use serde::Serialize;

use super::views::ProjectView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of projects.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProjectList {
    items: Vec<ProjectView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List projects
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "projects",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = ProjectList))
)]
pub(crate) async fn list_projects(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<ProjectList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } =
        project::list(&app.client(caller.tenant).await?, caller.tenant, paging.after, paging.limit).await?;
    Ok(Json(ProjectList {
        items: items.into_iter().map(ProjectView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
