//! `DELETE /keys/{id}`: it counts no more: here at once, at other replicas within `DRYDOCK_API_KEY_CACHE`.

use axum::{extract::State, http::StatusCode};
use drydock_database::api_key;

use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Revoke a key
///
/// It stays in the list. Repeating it changes nothing; a key may revoke itself.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = 404))
)]
pub(crate) async fn revoke_key(State(app): State<Shared>, caller: Caller, ids: Ids) -> Result<StatusCode, ApiError> {
    let prefix = api_key::revoke(&app.client(caller.tenant).await?, caller.tenant, ids.key()?).await?;
    app.keys.forget(prefix.ok_or(ApiError::NO_KEY)?);
    Ok(StatusCode::NO_CONTENT)
}
