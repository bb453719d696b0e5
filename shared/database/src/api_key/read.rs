//! Keys as they stand, and as a request meets them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{ApiKeyId, KeyPrefix, ProjectId, Role, Scope, Scopes, SecretHash, TenantId, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

const OPERATION: &str = "read a key";

macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT id, tenant_id, user_id, name, prefix, role, scopes, created_at, expires_at, last_used_at, revoked_at
               FROM api_key WHERE tenant_id = $1 AND ",
            $filter
        )
    };
}

const FIND: &str = select!("id = $2");
const LIST: &str = select!("(created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");
/// A key; or a daemon's token, which may do with its project's files what a member may, and nothing else.
const PRESENTED: &str = "SELECT k.id, k.tenant_id, k.user_id, k.project_id, k.hash, k.role, k.scopes, u.role AS user_role,
    k.revoked_at IS NOT NULL AS revoked, u.disabled_at IS NOT NULL AS disabled, t.disabled_at IS NOT NULL AS tenant_disabled,
    extract(epoch FROM k.expires_at - clock_timestamp())::float8 AS left_s,
    k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '1 minute' AS touch
  FROM (SELECT a.id, a.tenant_id, a.user_id, NULL::uuid AS project_id, a.prefix, a.hash, a.role, a.scopes, a.revoked_at, a.expires_at, a.last_used_at
          FROM api_key a WHERE a.prefix = $1
        UNION ALL
        SELECT d.id, d.tenant_id, d.user_id, d.project_id, d.prefix, d.hash, 'member', '{projects:read,projects:write}', d.revoked_at, d.expires_at, d.last_used_at
          FROM workspace_token d WHERE d.prefix = $1) k
  JOIN tenant t ON t.id = k.tenant_id LEFT JOIN user_account u ON u.id = k.user_id";

/// A key as it stands.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who of the tenant uses it.
    pub user: Option<UserId>,
    /// For lists.
    pub name: String,
    /// What it is found by.
    pub prefix: KeyPrefix,
    /// What it is for.
    pub role: Role,
    /// Fewer scopes than the role's.
    pub scopes: Option<Scopes>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKeyRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            tenant: row.get::<_, Uuid>("tenant_id").into(),
            user: row.get::<_, Option<Uuid>>("user_id").map(UserId::from),
            name: row.get("name"),
            prefix: prefix(row, OPERATION)?,
            role: word(row.get("role"))?,
            scopes: scopes(row),
            created_at: row.get("created_at"),
            expires_at: row.get("expires_at"),
            last_used_at: row.get("last_used_at"),
            revoked_at: row.get("revoked_at"),
        })
    }
}

/// Whether a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// For this much longer; for ever if none.
    Valid(Option<Duration>),
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
    /// Its user is disabled.
    Disabled,
    /// Its tenant is disabled.
    TenantDisabled,
}

/// What a request needs to know of a key.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who of the tenant uses it.
    pub user: Option<UserId>,
    /// Of a daemon's token: the project whose workspace it opens, and all it is good for.
    pub project: Option<ProjectId>,
    /// What its secret has to hash to.
    pub hash: SecretHash,
    /// What it is for.
    pub role: Role,
    /// What it may do: no more than its role, its own list and its user's role.
    pub scopes: Scopes,
    /// Whether it counts.
    pub standing: Standing,
    /// Whether its last use was noted more than a minute ago.
    pub touch: bool,
}

/// The key with this prefix, of whatever tenant.
///
/// # Errors
/// The database does not answer.
pub async fn by_prefix(conn: &impl GenericClient, prefix: KeyPrefix) -> Result<Option<Presented>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(PRESENTED).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&prefix.to_string()]).await.map_err(failed())?;
    row.as_ref().map(presented).transpose()
}

fn presented(row: &Row) -> Result<Presented, DatabaseError> {
    let role: Role = word(row.get("role"))?;
    let user_role: Option<Role> = row.get::<_, Option<&str>>("user_role").map(word).transpose()?;
    let most = user_role.map_or(Scopes::ALL, Role::scopes);
    let hash: &[u8] = row.get("hash");
    let hash = hash.try_into().map_err(|_| broken("a hash has 32 bytes".to_owned()))?;
    Ok(Presented {
        id: row.get::<_, Uuid>("id").into(),
        tenant: row.get::<_, Uuid>("tenant_id").into(),
        user: row.get::<_, Option<Uuid>>("user_id").map(UserId::from),
        project: row.get::<_, Option<Uuid>>("project_id").map(ProjectId::from),
        hash: SecretHash::from_bytes(hash),
        role,
        scopes: role.limited_to(scopes(row)) & most,
        standing: standing(row),
        touch: row.get("touch"),
    })
}

fn standing(row: &Row) -> Standing {
    let left: Option<f64> = row.get("left_s");
    if row.get("revoked") {
        Standing::Revoked
    } else if row.get("disabled") {
        Standing::Disabled
    } else if row.get("tenant_disabled") {
        Standing::TenantDisabled
    } else {
        match left.map(Duration::try_from_secs_f64) {
            None => Standing::Valid(None),
            Some(Ok(left)) if !left.is_zero() => Standing::Valid(Some(left)),
            Some(_) => Standing::Expired,
        }
    }
}

/// The tenant's key, revoked or not.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<Option<ApiKeyRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(ApiKeyRow::from_row).transpose()
}

/// The tenant's keys, newest first, revoked and expired ones included.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: Cursor,
    limit: usize,
) -> Result<Page<ApiKeyRow>, DatabaseError> {
    let failed = || DatabaseError::query("list keys");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(ApiKeyRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

pub(super) fn prefix(row: &Row, operation: &'static str) -> Result<KeyPrefix, DatabaseError> {
    let text: &str = row.get("prefix");
    text.parse().map_err(|error| DatabaseError::Row { operation, reason: format!("{error}") })
}

/// The scopes a key names. Words that a later release knows grant nothing here, and are still no empty list, which would mean all.
fn scopes(row: &Row) -> Option<Scopes> {
    let words: Vec<&str> = row.get("scopes");
    let known = words.iter().filter_map(|word| word.parse::<Scope>().ok());
    if words.is_empty() { None } else { Some(known.collect()) }
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, DatabaseError> {
    word.parse().map_err(|error: T::Err| broken(error.to_string()))
}

const fn broken(reason: String) -> DatabaseError {
    DatabaseError::Row { operation: OPERATION, reason }
}
