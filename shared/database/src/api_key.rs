//! The `api_key` table: made, found by what a request presents, listed, revoked. No secret comes here, only its hash.

mod read;

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{ApiKeyId, KeyPrefix, Role, Scope, Scopes, SecretHash, TenantId, UserId};
use tokio_postgres::types::ToSql;

pub use self::read::{ApiKeyRow, Presented, Standing, by_prefix, find, list};
use crate::{DatabaseError, again};

const EXISTS: &str = "SELECT EXISTS (SELECT FROM api_key) AS any";
const CREATE: &str =
    "INSERT INTO api_key (id, tenant_id, user_id, name, prefix, hash, role, scopes, created_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now() + make_interval(secs => $9::float8))";
const REVOKE: &str = "UPDATE api_key SET revoked_at = coalesce(revoked_at, clock_timestamp())
  WHERE tenant_id = $1 AND id = $2 RETURNING prefix";
const TOUCH: &str = "UPDATE api_key SET last_used_at = clock_timestamp()
  WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')";
const TOUCH_TOKEN: &str = "UPDATE workspace_token SET last_used_at = clock_timestamp()
  WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')";
const BOOTSTRAP: &str = "SELECT dd_bootstrap_v2($1, $2, $3, $4, $5, $6, $7) AS outcome";

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id, chosen by the caller.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who of the tenant uses it; none for a program.
    pub user: Option<UserId>,
    /// For lists.
    pub name: String,
    /// What it is found by.
    pub prefix: KeyPrefix,
    /// What is kept of its secret.
    pub hash: SecretHash,
    /// What it is for.
    pub role: Role,
    /// Fewer scopes than the role's.
    pub scopes: Option<Scopes>,
    /// How long it lasts; for ever if none.
    pub lifetime: Option<Duration>,
}

/// Whether there is any key, of any tenant, revoked and expired ones included.
///
/// # Errors
/// The database does not answer.
pub async fn exists(conn: &impl GenericClient) -> Result<bool, DatabaseError> {
    let failed = || DatabaseError::query("look for keys");
    let statement = conn.prepare_cached(EXISTS).await.map_err(failed())?;
    Ok(conn.query_one(&statement, &[]).await.map_err(failed())?.get("any"))
}

/// Makes a key.
///
/// # Errors
/// The database does not answer, or the user is not of the tenant.
pub async fn create(conn: &impl GenericClient, new: &NewApiKey) -> Result<(), DatabaseError> {
    let failed = || DatabaseError::query("create a key");
    let statement = conn.prepare_cached(CREATE).await.map_err(failed())?;
    let scopes: Vec<&str> = new.scopes.into_iter().flat_map(Scopes::iter).map(Scope::as_str).collect();
    let parameters: [&(dyn ToSql + Sync); 9] = [
        &new.id.uuid(),
        &new.tenant.uuid(),
        &new.user.map(UserId::uuid),
        &new.name,
        &new.prefix.to_string(),
        &new.hash.as_bytes().as_slice(),
        &new.role.as_str(),
        &scopes,
        &new.lifetime.map(|lifetime| lifetime.as_secs_f64()),
    ];
    conn.execute(&statement, &parameters).await.map_err(failed())?;
    Ok(())
}

/// Revokes a key of the tenant: its prefix, or none where there is no such key. Repeating it changes nothing.
///
/// # Errors
/// The database does not answer: it may have been revoked.
pub async fn revoke(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<KeyPrefix>, DatabaseError> {
    const OPERATION: &str = "revoke a key";
    let rows = again::rows(conn, OPERATION, REVOKE, &[&tenant.uuid(), &id.uuid()]).await?;
    rows.first().map(|row| read::prefix(row, OPERATION)).transpose()
}

/// Notes that a key, or a daemon's token, is in use, once a minute at most.
///
/// # Errors
/// The database does not answer.
pub async fn touch(conn: &impl GenericClient, key: &Presented) -> Result<(), DatabaseError> {
    let sql = if key.project.is_some() { TOUCH_TOKEN } else { TOUCH };
    again::rows(conn, "note the use of a key", sql, &[&key.id.uuid()]).await.map(drop)
}

/// The answer to a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrapped {
    /// The key is there.
    Made,
    /// There was a key before, and another was not asked for.
    KeysExist,
    /// No tenant has this name.
    NoTenant,
}

/// Makes the first key, an admin's of the tenant called `tenant`; with `again` also where there are keys. Of several at once, one makes it.
///
/// # Errors
/// The database does not answer: the key may have been made.
pub async fn bootstrap(
    conn: &impl GenericClient,
    key: (ApiKeyId, KeyPrefix, SecretHash),
    tenant: &str,
    name: &str,
    again: bool,
) -> Result<Bootstrapped, DatabaseError> {
    const OPERATION: &str = "make the first key";
    let (id, prefix, hash) = key;
    let note = uuid::Uuid::now_v7();
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&id.uuid(), &tenant, &name, &prefix.to_string(), &hash.as_bytes().as_slice(), &again, &note];
    match again::row(conn, OPERATION, BOOTSTRAP, &parameters).await?.get("outcome") {
        "made" => Ok(Bootstrapped::Made),
        "keys_exist" => Ok(Bootstrapped::KeysExist),
        "no_tenant" => Ok(Bootstrapped::NoTenant),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    }
}
