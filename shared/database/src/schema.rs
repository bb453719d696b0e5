//! Whether the database has the schema of this build. Services check and wait; only `drydock admin migrate` changes it.

use deadpool_postgres::GenericClient;

use crate::{DatabaseError, migrate};

const HISTORY: &str =
    "SELECT h IS NOT NULL AS stamped, has_table_privilege(h, 'SELECT') AS readable, current_user::text AS role
  FROM to_regclass('refinery_schema_history') h";
const NEWEST: &str = "SELECT coalesce(max(version), 0) AS version FROM refinery_schema_history";

/// The newest applied migration, 0 for none.
///
/// # Errors
/// The database does not answer, or does not let the role read it.
pub async fn applied(client: &impl GenericClient) -> Result<u32, DatabaseError> {
    let failed = || DatabaseError::query("read the migration history");
    let history = client.query_one(HISTORY, &[]).await.map_err(failed())?;
    if !history.get::<_, bool>("stamped") {
        return Ok(0);
    }
    if !history.get::<_, bool>("readable") {
        let lacks = "refinery_schema_history (SELECT)".to_owned();
        return Err(DatabaseError::NotGranted { role: history.get("role"), lacks });
    }
    let newest: i32 = client.query_one(NEWEST, &[]).await.map_err(failed())?.get("version");
    Ok(newest.unsigned_abs())
}

/// Refuses an older schema; a newer one is fine, since changes expand before they contract.
///
/// # Errors
/// The database does not answer, or its schema is older than this build needs.
pub async fn check(client: &impl GenericClient) -> Result<(), DatabaseError> {
    let (found, needed) = (applied(client).await?, migrate::newest());
    if found < needed { Err(DatabaseError::Schema { found, needed }) } else { Ok(()) }
}
