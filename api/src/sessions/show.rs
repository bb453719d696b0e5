//! `GET /sessions/{id}`: one session, also when it is over.

use axum::{Json, extract::State};
use drydock_database::session;

use super::views::SessionView;
use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Show a session
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = SessionView), (status = 404))
)]
pub(crate) async fn show_session(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<SessionView>, ApiError> {
    let row = session::find(&app.client(caller.tenant).await?, caller.tenant, ids.session()?).await?;
    Ok(Json(row.ok_or(ApiError::NO_SESSION)?.into()))
}
