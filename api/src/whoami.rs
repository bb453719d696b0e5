//! `GET /whoami`: whom the API takes the caller for, and what they may.

use axum::{Json, extract::State};
use drydock_database::{api_key, identity, tenant, user};
use drydock_domain::{ApiKeyId, Role, Scope, TenantId, UserId};
use serde::Serialize;

use crate::{
    auth::{Actor, Caller},
    error::ApiError,
    state::Shared,
};

/// Who asks.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WhoamiView {
    tenant: TenantName,
    /// `key`, `token`, or `anyone` while no key exists.
    actor: &'static str,
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyName>,
    /// Who uses the key, or whom the token stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserName>,
    /// Who they are to the issuer of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityName>,
}

/// A subject of an issuer.
#[derive(Serialize, utoipa::ToSchema)]
struct IdentityName {
    issuer: String,
    subject: String,
}

/// A tenant by name.
#[derive(Serialize, utoipa::ToSchema)]
struct TenantName {
    #[schema(value_type = Uuid)]
    id: TenantId,
    name: String,
}

/// A key by name.
#[derive(Serialize, utoipa::ToSchema)]
struct KeyName {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    name: String,
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// A user by name.
#[derive(Serialize, utoipa::ToSchema)]
struct UserName {
    #[schema(value_type = Uuid)]
    id: UserId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

/// Show who asks
#[utoipa::path(get, path = "/api/v1/whoami", tag = "keys", responses((status = 200, body = WhoamiView), (status = 401)))]
pub(crate) async fn whoami(State(app): State<Shared>, caller: Caller) -> Result<Json<WhoamiView>, ApiError> {
    let gone = || ApiError::Internal("who asks cannot be read".to_owned());
    let client = app.client(caller.tenant).await?;
    let tenant = tenant::find(&client, caller.tenant).await?.ok_or_else(gone)?;
    let mut view = WhoamiView {
        tenant: TenantName { id: tenant.id, name: tenant.name },
        actor: "anyone",
        role: caller.role,
        scopes: caller.scopes.iter().collect(),
        key: None,
        user: None,
        identity: None,
    };
    let named = async |id| {
        let row = user::find(&client, caller.tenant, id).await?.ok_or_else(gone)?;
        Ok::<_, ApiError>(Some(UserName { id: row.id, name: row.name, email: row.email }))
    };
    if let Actor::Key { id, user, .. } = caller.actor {
        let row = api_key::find(&client, caller.tenant, id).await?.ok_or_else(gone)?;
        view.actor = "key";
        view.key = Some(KeyName { id, name: row.name, prefix: row.prefix.to_string(), expires_at: row.expires_at });
        if let Some(user) = user {
            view.user = named(user).await?;
        }
    }
    if let Actor::Token { user, .. } = caller.actor {
        view.actor = "token";
        view.user = named(user).await?;
        let identity = identity::of_user(&client, caller.tenant, user).await?;
        view.identity = identity.map(|identity| IdentityName { issuer: identity.issuer, subject: identity.subject });
    }
    Ok(Json(view))
}
