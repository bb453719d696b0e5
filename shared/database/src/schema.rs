//! Whether the database has the schema of this build. Services check and wait; only `drydock admin migrate` changes it.

use deadpool_postgres::GenericClient;
use tokio_postgres::error::SqlState;

use crate::{DatabaseError, migrate};

const HISTORY: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL AS stamped";
const NEWEST: &str = "SELECT coalesce(max(version), 0) AS version FROM refinery_schema_history";

/// The newest applied migration, 0 for none.
///
/// # Errors
/// The database does not answer.
pub async fn applied(client: &impl GenericClient) -> Result<u32, DatabaseError> {
    let failed = || DatabaseError::query("read the migration history");
    let stamped: bool = client.query_one(HISTORY, &[]).await.map_err(failed())?.get("stamped");
    if !stamped {
        return Ok(0);
    }
    let newest = client.query_one(NEWEST, &[]).await.map_err(|error| match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => DatabaseError::NotGranted(error),
        _ => failed()(error),
    })?;
    Ok(newest.get::<_, i32>("version").unsigned_abs())
}

/// Refuses an older schema; a newer one is fine, since changes expand before they contract.
///
/// # Errors
/// The database does not answer, or its schema is older than this build needs.
pub async fn check(client: &impl GenericClient) -> Result<(), DatabaseError> {
    let (found, needed) = (applied(client).await?, migrate::newest());
    if found < needed { Err(DatabaseError::Schema { found, needed }) } else { Ok(()) }
}
