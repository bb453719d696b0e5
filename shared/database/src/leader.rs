//! The one leader of the fleet: a row with a term. Leading is for efficiency; every transition is safe under two leaders.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::{DatabaseError, again};

/// The fleet's lead; shards come later.
pub const FLEET: &str = "fleet";

const LEAD: &str = "SELECT dd_lead_v1($1, $2, make_interval(secs => $3)) AS term";
const RESIGN: &str = "SELECT dd_resign_v1($1, $2)";

/// Takes or keeps the lead; `None` while another holder leads.
///
/// # Errors
/// The database does not answer.
pub async fn lead(conn: &impl GenericClient, holder: Uuid, ttl: Duration) -> Result<Option<i64>, DatabaseError> {
    let row = again::row(conn, "take the lead", LEAD, &[&FLEET, &holder, &ttl.as_secs_f64()]).await?;
    Ok(row.get("term"))
}

/// Gives the lead back.
///
/// # Errors
/// The database does not answer; the lead then runs out by itself.
pub async fn resign(conn: &impl GenericClient, holder: Uuid) -> Result<(), DatabaseError> {
    conn.execute(RESIGN, &[&FLEET, &holder]).await.map_err(DatabaseError::query("give back the lead"))?;
    Ok(())
}
