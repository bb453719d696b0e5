//! `GET /projects/{id}`: one project.

use axum::{Json, extract::State};
use drydock_database::project;

use super::views::ProjectView;
use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Show a project
#[utoipa::path(
    get, path = "/api/v1/projects/{id}", tag = "projects",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = ProjectView), (status = 404))
)]
pub(crate) async fn show_project(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<ProjectView>, ApiError> {
    let row = project::find(&app.client(caller.tenant).await?, caller.tenant, ids.project()?).await?;
    Ok(Json(row.ok_or(ApiError::NO_PROJECT)?.into()))
}
