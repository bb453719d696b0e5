//! `/workspaces/{id}/tokens`: made, listed, revoked. A token is good for one workspace's daemon and for nothing else.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use drydock_database::{
    page::Page,
    workspace::{self, NewToken, TokenRow},
};
use drydock_domain::{ApiKey, ApiKeyId, ProjectId};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody, Paging, Query},
    keys::{once_only, secret_response},
    state::Shared,
    validate::{Fields, rules},
};

/// A token's life, in seconds: a minute to ten years.
const MIN_LIFE: i64 = 60;
const MAX_LIFE: i64 = 315_360_000;

/// Body of a new token, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewTokenBody {
    /// 1 to 100 characters: whose machine it is for.
    name: String,
    /// It counts for so many seconds; until it is revoked by default.
    #[schema(minimum = 60, maximum = 315_360_000)]
    expires_in_s: Option<u64>,
}

/// A daemon's token.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenView {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    #[schema(value_type = Uuid)]
    workspace_id: ProjectId,
    name: String,
    /// The part of the token that is no secret: `dd_<prefix>_…`.
    prefix: String,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// To a minute or so.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
    /// The token itself, in the answer that made it: nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    fn of(workspace: ProjectId, row: TokenRow) -> Self {
        Self {
            id: row.id,
            workspace_id: workspace,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            token: None,
        }
    }
}

/// A page of tokens.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Make a token for a daemon
///
/// It opens the project's files and its daemon's socket, and nothing else. The answer is the only one that shows it.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{id}/tokens", tag = "workspaces",
    params(("id" = uuid::Uuid, Path, description = "The project's id")),
    request_body = NewTokenBody,
    responses((status = 201, body = TokenView), (status = 404))
)]
pub(crate) async fn create_token(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    once_only(&headers)?;
    let project = ids.project()?;
    let mut fields = Fields::body(body.value)?;
    let name = fields.required("name", rules::title);
    let lifetime = fields.optional("expires_in_s", rules::number::<u64>(MIN_LIFE, MAX_LIFE));
    let (name, lifetime) = fields.finish(|| Some((name?, lifetime.map(Duration::from_secs))))?;
    let token = ApiKey::generate();
    let new = NewToken {
        id: ApiKeyId::generate(),
        project,
        user: caller.user(),
        name,
        prefix: token.prefix(),
        hash: token.hash(),
        lifetime,
    };
    let made = workspace::create_token(&app.client(caller.tenant).await?, caller.tenant, &new).await?;
    let (created_at, expires_at) = made.ok_or(ApiError::NO_PROJECT)?;
    // A prefix that was asked for and not there is remembered as such.
    app.keys.forget(new.prefix);
    let view = TokenView {
        id: new.id,
        workspace_id: project,
        name: new.name,
        prefix: new.prefix.to_string(),
        created_at,
        expires_at,
        last_used_at: None,
        revoked_at: None,
        token: Some(token.text().expose_secret().to_owned()),
    };
    Ok(secret_response(&format!("/api/v1/workspaces/{project}/tokens"), &view))
}

/// List a workspace's tokens
///
/// Revoked and expired ones too, and of none its secret.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{id}/tokens", tag = "workspaces",
    params(
        ("id" = uuid::Uuid, Path, description = "The project's id"),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = TokenList), (status = 404))
)]
pub(crate) async fn list_tokens(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<TokenList>, ApiError> {
    let project = ids.project()?;
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let client = app.client(caller.tenant).await?;
    let Page { items, next } =
        workspace::list_tokens(&client, caller.tenant, project, paging.after, paging.limit).await?;
    if items.is_empty() {
        let known = workspace::find(&client, caller.tenant, project, Duration::ZERO).await?;
        known.ok_or(ApiError::NO_PROJECT)?;
    }
    Ok(Json(TokenList {
        items: items.into_iter().map(|row| TokenView::of(project, row)).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}

/// Revoke a daemon's token
///
/// A daemon that is connected by it is cut off within `DRYDOCK_API_KEY_CACHE`. Repeating it changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{id}/tokens/{token}", tag = "workspaces",
    params(("id" = uuid::Uuid, Path, description = "The project's id"), ("token" = uuid::Uuid, Path)),
    responses((status = 204), (status = 404))
)]
pub(crate) async fn revoke_token(State(app): State<Shared>, caller: Caller, ids: Ids) -> Result<StatusCode, ApiError> {
    let (project, token) = (ids.project()?, ids.token()?);
    let client = app.client(caller.tenant).await?;
    let prefix = workspace::revoke_token(&client, caller.tenant, project, token).await?;
    app.keys.forget(prefix.ok_or(ApiError::NO_TOKEN)?);
    Ok(StatusCode::NO_CONTENT)
}
