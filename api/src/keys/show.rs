//! `GET /keys/{id}`: one key, without its secret.

use axum::{Json, extract::State};
use drydock_database::api_key;

use super::views::KeyView;
use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Show a key
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = KeyView), (status = 404))
)]
pub(crate) async fn show_key(State(app): State<Shared>, caller: Caller, ids: Ids) -> Result<Json<KeyView>, ApiError> {
    let row = api_key::find(&app.client(caller.tenant).await?, caller.tenant, ids.key()?).await?;
    Ok(Json(row.ok_or(ApiError::NO_KEY)?.into()))
}
