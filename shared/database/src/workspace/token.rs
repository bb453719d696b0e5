//! Tokens of daemons. A request presents one as it does a key, and finds it where keys are found ([`crate::api_key::by_prefix`]).

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{ApiKeyId, KeyPrefix, ProjectId, SecretHash, TenantId, UserId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    page::{Cursor, Page, one_more},
};

const CREATE: &str =
    "INSERT INTO workspace_token (id, tenant_id, project_id, user_id, name, prefix, hash, created_at, expires_at)
  SELECT $1, $2, p.id, $8, $4, $5, $6, now(), now() + make_interval(secs => $7::float8)
    FROM project p WHERE p.id = $3 AND p.tenant_id = $2 AND p.deleted_at IS NULL
  RETURNING created_at, expires_at";
const REVOKE: &str = "UPDATE workspace_token SET revoked_at = coalesce(revoked_at, clock_timestamp())
  WHERE tenant_id = $1 AND project_id = $2 AND id = $3 RETURNING prefix";
const LIST: &str = "SELECT id, name, prefix, created_at, expires_at, last_used_at, revoked_at FROM workspace_token
  WHERE tenant_id = $1 AND project_id = $2 AND (created_at, id) < ($3, $4) ORDER BY created_at DESC, id DESC LIMIT $5";

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id, chosen by the caller.
    pub id: ApiKeyId,
    /// Whose workspace it opens.
    pub project: ProjectId,
    /// Who makes it; it counts no longer than they do.
    pub user: Option<UserId>,
    /// For lists.
    pub name: String,
    /// What it is found by.
    pub prefix: KeyPrefix,
    /// What is kept of its secret.
    pub hash: SecretHash,
    /// How long it lasts; for ever if none.
    pub lifetime: Option<Duration>,
}

/// A token as it stands.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its id.
    pub id: ApiKeyId,
    /// For lists.
    pub name: String,
    /// What it is found by.
    pub prefix: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Makes a token, and answers when it was made and ends; `None`: no such project of this tenant.
///
/// # Errors
/// The database does not answer.
pub async fn create_token(
    conn: &impl GenericClient,
    tenant: TenantId,
    new: &NewToken,
) -> Result<Option<(DateTime<Utc>, Option<DateTime<Utc>>)>, DatabaseError> {
    let failed = || DatabaseError::query("create a daemon's token");
    let statement = conn.prepare_cached(CREATE).await.map_err(failed())?;
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &new.id.uuid(),
        &tenant.uuid(),
        &new.project.uuid(),
        &new.name,
        &new.prefix.to_string(),
        &new.hash.as_bytes().as_slice(),
        &new.lifetime.map(|lifetime| lifetime.as_secs_f64()),
        &new.user.map(UserId::uuid),
    ];
    let row = conn.query_opt(&statement, &parameters).await.map_err(failed())?;
    Ok(row.map(|row| (row.get("created_at"), row.get("expires_at"))))
}

/// Revokes a token: its prefix, or none where there is no such token. Repeating it changes nothing.
///
/// # Errors
/// The database does not answer: it may have been revoked.
pub async fn revoke_token(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    id: ApiKeyId,
) -> Result<Option<KeyPrefix>, DatabaseError> {
    const OPERATION: &str = "revoke a daemon's token";
    let rows = again::rows(conn, OPERATION, REVOKE, &[&tenant.uuid(), &project.uuid(), &id.uuid()]).await?;
    let prefix = |row: &tokio_postgres::Row| {
        let text: &str = row.get("prefix");
        text.parse().map_err(|error| DatabaseError::Row { operation: OPERATION, reason: format!("{error}") })
    };
    rows.first().map(prefix).transpose()
}

/// The project's tokens, newest first, revoked and expired ones included.
///
/// # Errors
/// The database does not answer.
pub async fn list_tokens(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    after: Cursor,
    limit: usize,
) -> Result<Page<TokenRow>, DatabaseError> {
    let failed = || DatabaseError::query("list a workspace's tokens");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let parameters: [&(dyn ToSql + Sync); 5] =
        [&tenant.uuid(), &project.uuid(), &after.bound(), &after.id, &one_more(limit)];
    let rows = conn.query(&statement, &parameters).await.map_err(failed())?;
    let rows = rows.into_iter().map(|row| TokenRow {
        id: row.get::<_, Uuid>("id").into(),
        name: row.get("name"),
        prefix: row.get("prefix"),
        created_at: row.get("created_at"),
        expires_at: row.get("expires_at"),
        last_used_at: row.get("last_used_at"),
        revoked_at: row.get("revoked_at"),
    });
    Ok(Page::cut(rows.collect(), limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}
