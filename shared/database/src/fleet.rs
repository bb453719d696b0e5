//! The fleet's slots, for the leader: touches only live rows.

use deadpool_postgres::GenericClient;

use crate::DatabaseError;

const SLOTS: &str =
    "SELECT pool, sum(slots)::bigint AS slots FROM worker WHERE ended_at IS NULL AND NOT draining GROUP BY pool";

/// Slots of live workers, by pool.
///
/// # Errors
/// The database does not answer.
pub async fn slots(conn: &impl GenericClient) -> Result<Vec<(String, i64)>, DatabaseError> {
    let rows = conn.query(SLOTS, &[]).await.map_err(DatabaseError::query("count slots"))?;
    Ok(rows.iter().map(|row| (row.get("pool"), row.get("slots"))).collect())
}
