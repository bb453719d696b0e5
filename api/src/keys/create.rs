//! `POST /keys`: a key of the caller's tenant, no stronger than the caller.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    GenericClient,
    api_key::{self, NewApiKey},
    user,
};
use drydock_domain::{ApiKey, ApiKeyId, TenantId};

use super::{
    request::{KeyRequest, once_only},
    views::{KeyView, secret_response},
};
use crate::{
    auth::{Actor, Caller},
    error::ApiError,
    extract::JsonBody,
    state::Shared,
    validate::{Fault, refused},
};

/// Body of a new key, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewKeyBody {
    /// 1 to 100 characters.
    name: String,
    /// `viewer`, `member`, `owner`, `operator` or `admin`.
    role: String,
    /// Fewer scopes than the role's; all of them by default.
    scopes: Option<Vec<String>>,
    /// A user of the tenant: the key has no more rights than the user's role.
    user_id: Option<uuid::Uuid>,
    /// How long it lasts, in seconds; for ever by default.
    #[schema(minimum = 60, maximum = 315_360_000)]
    expires_in_s: Option<u64>,
}

/// Create a key
///
/// The answer has the key itself in `key`, once. `Idempotency-Key` is refused: to answer the same again, the secret would have to be kept.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys",
    request_body = NewKeyBody,
    responses(
        (status = 201, body = KeyView),
        (status = 403, description = "It would have rights that the caller has not"),
        (status = 422)
    )
)]
pub(crate) async fn create_key(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    once_only(&headers)?;
    let mut request = KeyRequest::read(body.value)?;
    if let Actor::Token { user, .. } = caller.actor {
        // A key by somebody's token ends with them, as the token does.
        request.user.get_or_insert(user);
    }
    caller.may_give(request.rights())?;
    let client = app.client(caller.tenant).await?;
    check_user(&client, caller.tenant, &request).await?;
    let key = ApiKey::generate();
    let new = NewApiKey {
        id: ApiKeyId::generate(),
        tenant: caller.tenant,
        user: request.user,
        name: request.name,
        prefix: key.prefix(),
        hash: key.hash(),
        role: request.role,
        scopes: request.scopes,
        lifetime: request.lifetime,
    };
    api_key::create(&client, &new).await?;
    app.gate.close();
    let row = api_key::find(&client, caller.tenant, new.id).await?;
    let row = row.ok_or_else(|| ApiError::Internal(format!("key {} was made but cannot be read", new.id)))?;
    Ok(secret_response(&format!("/api/v1/keys/{}", new.id), &KeyView::with_secret(row, &key)))
}

/// A key with more rights than its user would look stronger than it is.
async fn check_user(conn: &impl GenericClient, tenant: TenantId, request: &KeyRequest) -> Result<(), ApiError> {
    let Some(id) = request.user else { return Ok(()) };
    let found = user::find(conn, tenant, id).await?;
    let user = found.ok_or_else(|| refused("user_id", Fault::value("User not found")))?;
    if request.rights().without(user.role.scopes()).is_empty() {
        return Ok(());
    }
    let beyond = format!("this gives more than the user's role '{}'", user.role);
    Err(refused("role", Fault::value(beyond)))
}
