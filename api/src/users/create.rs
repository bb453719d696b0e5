//! `POST /users`: a person of the caller's tenant, with no role beyond the caller's.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_database::user::{self, NewUser};
use drydock_domain::{Role, UserId};

use super::views::UserView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::JsonBody,
    keys::ROLES,
    state::Shared,
    validate::{Fields, rules},
};

/// Body of a new user, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewUserBody {
    /// 1 to 100 characters.
    name: String,
    /// Once in a tenant, whatever its case.
    email: String,
    /// `viewer`, `member`, `owner`, `operator` or `admin`.
    role: String,
}

/// Create a user
#[utoipa::path(
    post, path = "/api/v1/users", tag = "keys",
    request_body = NewUserBody,
    responses(
        (status = 201, body = UserView),
        (status = 403, description = "The role has rights that the caller has not"),
        (status = 409, description = "The tenant has a user with this address"),
        (status = 422)
    )
)]
pub(crate) async fn create_user(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let mut fields = Fields::body(body.value)?;
    let name = fields.required("name", rules::title);
    let email = fields.required("email", rules::email);
    let role: Option<Role> = fields.required("role", rules::one_of(ROLES));
    let (id, tenant) = (UserId::generate(), caller.tenant);
    let new = fields.finish(|| Some(NewUser { id, tenant, name: name?, email: email?, role: role? }))?;
    caller.may_give(new.role.scopes())?;
    let client = app.client(caller.tenant).await?;
    if !user::create(&client, &new).await? {
        return Err(ApiError::Conflict("There is a user with this address".into()));
    }
    let row = user::find(&client, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::Internal(format!("user {id} was made but cannot be read")))?;
    let location = [(header::LOCATION, format!("/api/v1/users/{id}"))];
    Ok((StatusCode::CREATED, location, Json(UserView::from(row))).into_response())
}
