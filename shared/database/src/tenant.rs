//! The `tenant` table: who owns everything.

use chrono::{DateTime, Utc};
use deadpool_postgres::{Client, GenericClient};
use drydock_domain::TenantId;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    api_key::{self, NewApiKey},
    page::{Cursor, Page, one_more},
};

const CREATE: &str = "INSERT INTO tenant (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const FIND: &str = "SELECT id, name, created_at FROM tenant WHERE id = $1";
const LIST: &str = "SELECT id, name, created_at FROM tenant WHERE (created_at, id) < ($1, $2)
  ORDER BY created_at DESC, id DESC LIMIT $3";

/// A tenant.
#[derive(Clone, Debug)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl TenantRow {
    fn from_row(row: &Row) -> Self {
        Self { id: row.get::<_, Uuid>("id").into(), name: row.get("name"), created_at: row.get("created_at") }
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
