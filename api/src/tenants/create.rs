//! `POST /tenants`: a tenant and an owner's key of it, both or none.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    api_key::{self, NewApiKey},
    tenant,
};
use drydock_domain::{ApiKey, ApiKeyId, Role, TenantId};
use serde::Serialize;

use super::views::TenantView;
use crate::{
    error::ApiError,
    extract::JsonBody,
    keys::{KeyView, once_only, secret_response},
    state::Shared,
    validate::{Fields, rules},
};

/// Body of a new tenant, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewTenantBody {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, unique.
    name: String,
    /// Of its first key; `owner` by default.
    key_name: Option<String>,
}

/// A new tenant with its first key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct NewTenantView {
    #[serde(flatten)]
    tenant: TenantView,
    /// An owner's key, with the key itself in `key`, once.
    first_key: KeyView,
}

/// Create a tenant
///
/// With its first key, an owner's, whose secret is shown once. `Idempotency-Key` is refused, as for keys; the name is unique.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenants",
    request_body = NewTenantBody,
    responses((status = 201, body = NewTenantView), (status = 409, description = "The name is taken"), (status = 422))
)]
pub(crate) async fn create_tenant(
    State(app): State<Shared>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    once_only(&headers)?;
    let mut fields = Fields::body(body.value)?;
    let name = fields.required("name", rules::name);
    let key_name = fields.optional("key_name", rules::title).unwrap_or_else(|| Role::Owner.to_string());
    let name = fields.finish(|| name)?;
    let (id, key) = (TenantId::generate(), ApiKey::generate());
    let new = NewApiKey {
        id: ApiKeyId::generate(),
        tenant: id,
        user: None,
        name: key_name,
        prefix: key.prefix(),
        hash: key.hash(),
        role: Role::Owner,
        scopes: None,
        lifetime: None,
    };
    let mut client = app.unscoped().await?;
    if !tenant::create(&mut client, &name, &new).await? {
        return Err(ApiError::Conflict("There is a tenant with this name".into()));
    }
    app.gate.close();
    let (tenant, first) = (tenant::find(&client, id).await?, api_key::find(&client, id, new.id).await?);
    let (Some(tenant), Some(first)) = (tenant, first) else {
        return Err(ApiError::Internal(format!("tenant {id} was made but cannot be read")));
    };
    let view = NewTenantView { tenant: tenant.into(), first_key: KeyView::with_secret(first, &key) };
    Ok(secret_response(&format!("/api/v1/tenants/{id}"), &view))
}
