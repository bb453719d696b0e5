//! `GET /users/{id}`: one user of the caller's tenant.

use axum::{extract::State, response::Response};
use drydock_database::user;

use super::views::UserView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, tagged},
    state::Shared,
};

/// Show a user
///
/// `ETag` is its revision, for `If-Match` of a change.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "keys",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = UserView), (status = 404))
)]
pub(crate) async fn show_user(State(app): State<Shared>, caller: Caller, ids: Ids) -> Result<Response, ApiError> {
    let row =
        user::find(&app.client(caller.tenant).await?, caller.tenant, ids.user()?).await?.ok_or(ApiError::NO_USER)?;
    Ok(tagged(row.revision, UserView::from(row)))
}
