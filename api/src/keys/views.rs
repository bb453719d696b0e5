//! A key as clients see it.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use drydock_database::api_key::ApiKeyRow;
use drydock_domain::{ApiKey, ApiKeyId, Role, Scope, UserId};
use secrecy::ExposeSecret as _;
use serde::Serialize;

/// A key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyView {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    name: String,
    /// The part of the key that is no secret: `dd_<prefix>_…`.
    prefix: String,
    /// `viewer`, `member`, `owner`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// What it may do, where its user's role allows it.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// Who uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    created_at: DateTime<Utc>,
    /// From when it counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// To a minute or so.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
    /// The key itself, in the answer that made it: nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl KeyView {
    /// With the key itself, for who made it.
    pub(crate) fn with_secret(row: ApiKeyRow, key: &ApiKey) -> Self {
        Self { key: Some(key.text().expose_secret().to_owned()), ..row.into() }
    }
}

impl From<ApiKeyRow> for KeyView {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix.to_string(),
            role: row.role,
            scopes: row.role.limited_to(row.scopes).iter().collect(),
            user_id: row.user,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            key: None,
        }
    }
}

/// The answer that holds a secret: nothing on its way may keep it.
pub(crate) fn secret_response(location: &str, view: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::LOCATION, location)];
    (StatusCode::CREATED, headers, Json(view)).into_response()
}
