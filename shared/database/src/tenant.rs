//! The `tenant` table: who owns everything.

use chrono::{DateTime, Utc};
use deadpool_postgres::{Client, GenericClient};
use drydock_domain::TenantId;
use serde::Serialize;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    api_key::{self, NewApiKey},
    page::{Cursor, Page, one_more},
};

const CREATE: &str = "INSERT INTO tenant (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const CHANGE: &str = "SELECT dd_change_tenant_v3($1, $2, $3, $4, $5, $6) AS answer";
const TO_COUNT: &str = "SELECT dd_tenants_to_count_v1() AS id";
const LACKS_STORAGE: &str = "SELECT dd_lacks_storage_v1($1) AS lacks";
const COUNT: &str = "SELECT dd_count_tenant_v1($1)";

macro_rules! select {
    ($filter:literal) => {
        concat!("SELECT id, name, weight, created_at, disabled_at, revision, max_projects, max_running, max_queued_jobs, max_held_jobs,
                    max_storage_bytes, CASE WHEN max_queued_jobs IS NOT NULL THEN h.queued END AS queued_jobs, h.stored AS stored_bytes,
                    CASE WHEN max_projects IS NOT NULL THEN
                      (SELECT count(*) FROM (SELECT FROM project p WHERE p.tenant_id = tenant.id AND p.deleted_at IS NULL LIMIT max_projects) x)
                    END AS projects
               FROM tenant CROSS JOIN LATERAL dd_tenant_has_v1(id) h WHERE ", $filter)
    };
}

const FIND: &str = select!("id = $1");
const LIST: &str = select!("(created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3");

/// A tenant.
#[derive(Clone, Debug)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Its name, unique.
    pub name: String,
    /// Its share of the fleet, beside those of the others that want slots.
    pub weight: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when its keys count no more and nothing of it starts.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Counts its changes.
    pub revision: i32,
    /// Most projects it may have; `None`: as many as it likes.
    pub max_projects: Option<i32>,
    /// Projects it has, where there is such a quota, counted up to it.
    pub projects: Option<i64>,
    /// Most slots it holds at once; `None`: its share.
    pub max_running: Option<i32>,
    /// Most jobs of no batch that wait; `None`: any number.
    pub max_queued_jobs: Option<i32>,
    /// Jobs of no batch that wait, where there is such a quota.
    pub queued_jobs: Option<i64>,
    /// Most lines that its batches hold; `None`: any number.
    pub max_held_jobs: Option<i32>,
    /// Most bytes of objects and logs; `None`: any number.
    pub max_storage_bytes: Option<i64>,
    /// Bytes of objects and logs.
    pub stored_bytes: i64,
}

impl TenantRow {
    fn from_row(row: &Row) -> Self {
        Self {
            id: row.get::<_, Uuid>("id").into(),
            name: row.get("name"),
            weight: row.get("weight"),
            created_at: row.get("created_at"),
            disabled_at: row.get("disabled_at"),
            revision: row.get("revision"),
            max_projects: row.get("max_projects"),
            projects: row.get("projects"),
            max_running: row.get("max_running"),
            max_queued_jobs: row.get("max_queued_jobs"),
            queued_jobs: row.get("queued_jobs"),
            max_held_jobs: row.get("max_held_jobs"),
            max_storage_bytes: row.get("max_storage_bytes"),
            stored_bytes: row.get("stored_bytes"),
        }
    }
}

/// Makes a tenant with its first key, both or none. `false`: the name is taken.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn create(client: &mut Client, name: &str, key: &NewApiKey) -> Result<bool, DatabaseError> {
    let failed = || DatabaseError::query("create a tenant");
    let transaction = client.transaction().await.map_err(failed())?;
    if transaction.execute(CREATE, &[&key.tenant.uuid(), &name]).await.map_err(failed())? == 0 {
        return Ok(false);
    }
    api_key::create(&transaction, key).await?;
    transaction.commit().await.map_err(failed())?;
    Ok(true)
}

/// The tenant.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, id: TenantId) -> Result<Option<TenantRow>, DatabaseError> {
    let failed = || DatabaseError::query("read a tenant");
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&id.uuid()]).await.map_err(failed())?;
    Ok(row.as_ref().map(TenantRow::from_row))
}

/// All tenants, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(conn: &impl GenericClient, after: Cursor, limit: usize) -> Result<Page<TenantRow>, DatabaseError> {
    let failed = || DatabaseError::query("list tenants");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&after.bound(), &after.id, &one_more(limit)]).await.map_err(failed())?;
    let rows = rows.iter().map(TenantRow::from_row).collect();
    Ok(Page::cut(rows, limit, |last: &TenantRow| Cursor { at: last.created_at, id: last.id.uuid() }))
}

/// Tenants whose counts are to be brought up to date.
///
/// # Errors
/// The database does not answer.
pub async fn to_count(conn: &impl GenericClient) -> Result<Vec<TenantId>, DatabaseError> {
    let rows = again::rows(conn, "find tenants to count", TO_COUNT, &[]).await?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("id").into()).collect())
}

/// Whether a tenant has used up its quota of stored bytes, in words.
///
/// # Errors
/// The database does not answer.
pub async fn lacks_storage(conn: &impl GenericClient, id: TenantId) -> Result<Option<String>, DatabaseError> {
    let failed = || DatabaseError::query("look for room to store something");
    let statement = conn.prepare_cached(LACKS_STORAGE).await.map_err(failed())?;
    Ok(conn.query_one(&statement, &[&id.uuid()]).await.map_err(failed())?.get("lacks"))
}

/// Counts a tenant's waiting jobs where it has a quota of them, and folds in what it stored since. Repeating it changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn count(conn: &impl GenericClient, id: TenantId) -> Result<(), DatabaseError> {
    again::row(conn, "count what a tenant has", COUNT, &[&id.uuid()]).await.map(|_| ())
}

/// What is to change of a tenant; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// Another name, unique.
    pub name: Option<String>,
    /// Another share of the fleet, 1 to 1,000.
    pub weight: Option<i32>,
    /// Whether its keys count no more and nothing of it starts.
    pub disabled: Option<bool>,
    /// Other quotas.
    pub quotas: Quotas,
}

/// Quotas to be set: 0 is none, and what is none stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quotas {
    /// Of projects.
    pub max_projects: Option<i32>,
    /// Of slots held at once.
    pub max_running: Option<i32>,
    /// Of jobs of no batch that wait.
    pub max_queued_jobs: Option<i32>,
    /// Of lines that its batches hold.
    pub max_held_jobs: Option<i32>,
    /// Of bytes of objects and logs.
    pub max_storage_bytes: Option<i64>,
}

/// What came of a change; repeating one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so.
    Done,
    /// There is no such tenant.
    NoTenant,
    /// Its revision is none of those expected.
    Stale,
    /// Another tenant has the name.
    NameTaken,
}

/// Changes a tenant while its revision is one of `expected`, or whatever it is.
///
/// # Errors
/// The database does not answer.
pub async fn change(
    conn: &impl GenericClient,
    id: TenantId,
    expected: Option<&[i32]>,
    to: &TenantChange,
) -> Result<Changed, DatabaseError> {
    const OPERATION: &str = "change a tenant";
    let quotas = serde_json::to_value(to.quotas)
        .map_err(|error| DatabaseError::Row { operation: OPERATION, reason: error.to_string() })?;
    let parameters: [&(dyn ToSql + Sync); 6] = [&id.uuid(), &expected, &to.name, &to.weight, &to.disabled, &quotas];
    match again::row(conn, OPERATION, CHANGE, &parameters).await?.get("answer") {
        "done" => Ok(Changed::Done),
        "no_tenant" => Ok(Changed::NoTenant),
        "stale" => Ok(Changed::Stale),
        "name_taken" => Ok(Changed::NameTaken),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}
