//! `GET /whoami`: whom the API takes the caller for, and what they may.

use axum::{Json, extract::State};
use drydock_database::{api_key, tenant, user};
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
    /// `key`, or `anyone` while no key exists.
    actor: &'static str,
    #[schema(value_type = String)]
    role: Role,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyName>,
    /// Who uses the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserName>,
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
    email: String,
}

/// Show who asks
#[utoipa::path(get, path = "/api/v1/whoami", tag = "keys", responses((status = 200, body = WhoamiView), (status = 401)))]
pub(crate) async fn whoami(State(app): State<Shared>, caller: Caller) -> Result<Json<WhoamiView>, ApiError> {
    let gone = || ApiError::Internal("who asks cannot be read".to_owned());
    let client = app.client().await?;
    let tenant = tenant::find(&client, caller.tenant).await?.ok_or_else(gone)?;
    let mut view = WhoamiView {
        tenant: TenantName { id: tenant.id, name: tenant.name },
        actor: "anyone",
        role: caller.role,
        scopes: caller.scopes.iter().collect(),
        key: None,
        user: None,
    };
    if let Actor::Key { id, user, .. } = caller.actor {
        let row = api_key::find(&client, caller.tenant, id).await?.ok_or_else(gone)?;
        view.actor = "key";
        view.key = Some(KeyName { id, name: row.name, prefix: row.prefix.to_string(), expires_at: row.expires_at });
        if let Some(user) = user {
            let row = user::find(&client, caller.tenant, user).await?.ok_or_else(gone)?;
            view.user = Some(UserName { id: row.id, name: row.name, email: row.email });
        }
    }
    Ok(Json(view))
}
