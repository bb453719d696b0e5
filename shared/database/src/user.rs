//! The `user_account` table: the people of a tenant.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{Role, TenantId, UserId};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    page::{Cursor, Page, one_more},
};

macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT id, name, email, role, created_at, disabled_at, revision FROM user_account WHERE tenant_id = $1 AND ",
            $filter
        )
    };
}

const CREATE: &str = "INSERT INTO user_account (id, tenant_id, name, email, role) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (tenant_id, lower(email)) DO NOTHING";
const CHANGE: &str = "SELECT dd_change_user_v1($1, $2, $3, $4, $5, $6) AS answer";
const FIND: &str = select!("id = $2");
const LIST: &str = select!("(created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its id, chosen by the caller.
    pub id: UserId,
    /// Where it belongs.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// Once in a tenant, whatever its case.
    pub email: String,
    /// The most that a key of this user may do.
    pub role: Role,
}

/// A user as it stands.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Its id.
    pub id: UserId,
    /// For people.
    pub name: String,
    /// Once in a tenant, whatever its case; none where an issuer gave none that it has looked at.
    pub email: Option<String>,
    /// The most that a key of this user may do.
    pub role: Role,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when its keys count no more.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Counts its changes.
    pub revision: i32,
}

impl UserRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let role: &str = row.get("role");
        let role = role
            .parse()
            .map_err(|error| DatabaseError::Row { operation: "read a user", reason: format!("{error}") })?;
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            name: row.get("name"),
            email: row.get("email"),
            role,
            created_at: row.get("created_at"),
            disabled_at: row.get("disabled_at"),
            revision: row.get("revision"),
        })
    }
}

/// Makes a user. `false`: the tenant has one with this address.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn create(conn: &impl GenericClient, new: &NewUser) -> Result<bool, DatabaseError> {
    let failed = || DatabaseError::query("create a user");
    let statement = conn.prepare_cached(CREATE).await.map_err(failed())?;
    let role = new.role.as_str();
    let made = conn.execute(&statement, &[&new.id.uuid(), &new.tenant.uuid(), &new.name, &new.email, &role]).await;
    Ok(made.map_err(failed())? == 1)
}

/// The tenant's user.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, tenant: TenantId, id: UserId) -> Result<Option<UserRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a user");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(UserRow::from_row).transpose()
}

/// The tenant's users, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: Cursor,
    limit: usize,
) -> Result<Page<UserRow>, DatabaseError> {
    let failed = || DatabaseError::query("list users");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(&statement, &[&tenant.uuid(), &after.bound(), &after.id, &one_more(limit)])
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(UserRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

/// What is to change of a user; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// For people.
    pub name: Option<String>,
    /// The most that a key of this user may do.
    pub role: Option<Role>,
    /// Whether its keys count no more.
    pub disabled: Option<bool>,
}

/// What came of a change; repeating one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so.
    Done,
    /// The tenant has no such user.
    NoUser,
    /// Its revision is not the one expected.
    Stale,
    /// Nobody would be left to manage the tenant's users.
    LastOwner,
}

/// Changes a user of the tenant whose revision is `expected`.
///
/// # Errors
/// The database does not answer.
pub async fn change(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: UserId,
    expected: i32,
    to: &UserChange,
) -> Result<Changed, DatabaseError> {
    const OPERATION: &str = "change a user";
    let role = to.role.map(Role::as_str);
    let expected = vec![expected];
    let parameters: [&(dyn ToSql + Sync); 6] = [&tenant.uuid(), &id.uuid(), &expected, &to.name, &role, &to.disabled];
    match again::row(conn, OPERATION, CHANGE, &parameters).await?.get("answer") {
        "done" => Ok(Changed::Done),
        "no_user" => Ok(Changed::NoUser),
        "stale" => Ok(Changed::Stale),
        "last_owner" => Ok(Changed::LastOwner),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}
