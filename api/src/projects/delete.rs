//! `DELETE /projects/{id}`: it is seen no more, its jobs are cancelled, its files go with the next collections.

use axum::{extract::State, http::StatusCode};
use drydock_database::project::{self, Deleted};

use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Jobs cancelled in one transaction: their rows are locked together.
const BATCH: i32 = 500;

/// Delete a project
#[utoipa::path(
    delete, path = "/api/v1/projects/{id}", tag = "projects",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "It is deleted, by this or before"), (status = 404))
)]
pub(crate) async fn delete_project(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<StatusCode, ApiError> {
    let id = ids.project()?;
    let client = app.client(caller.tenant).await?;
    loop {
        let deleted = project::delete(&client, caller.tenant, id, BATCH).await?;
        app.waker.wake_all();
        match deleted {
            Deleted::Done => return Ok(StatusCode::NO_CONTENT),
            Deleted::More => {}
            Deleted::NoProject => return Err(ApiError::NO_PROJECT),
        }
    }
}
