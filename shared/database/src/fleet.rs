//! The fleet at a glance, for the leader's gauges: each query touches only live rows.

use deadpool_postgres::GenericClient;
use drydock_domain::JobState;

use crate::DatabaseError;

const SLOTS: &str =
    "SELECT pool, sum(slots)::bigint AS slots FROM worker WHERE ended_at IS NULL AND NOT draining GROUP BY pool";
/// Each part has an index of its own, so that ended jobs, which are most, are never read.
const LIVE_JOBS: &str = "SELECT pool, state, sum(jobs)::bigint AS jobs FROM (
    SELECT pool, 'scheduled' AS state, count(*) AS jobs FROM job WHERE state = 'scheduled' AND unmet = 0 GROUP BY 1
    UNION ALL SELECT pool, 'scheduled', count(*) FROM job WHERE state = 'scheduled' AND unmet > 0 GROUP BY 1
    UNION ALL SELECT pool, 'pending', count(*) FROM job WHERE state = 'pending' GROUP BY 1
    UNION ALL SELECT pool, 'queued', count(*) FROM job WHERE state = 'queued' AND NOT backing_off GROUP BY 1
    UNION ALL SELECT pool, 'queued', count(*) FROM job WHERE state = 'queued' AND backing_off GROUP BY 1
    UNION ALL SELECT pool, state::text, count(*) FROM job WHERE state IN ('dispatched', 'running') GROUP BY 1, 2) parts
  GROUP BY 1, 2";

/// Slots of live workers, by pool.
///
/// # Errors
/// The database does not answer.
pub async fn slots(conn: &impl GenericClient) -> Result<Vec<(String, i64)>, DatabaseError> {
    let rows = conn.query(SLOTS, &[]).await.map_err(DatabaseError::query("count slots"))?;
    Ok(rows.iter().map(|row| (row.get("pool"), row.get("slots"))).collect())
}

/// Jobs that have not ended, by pool and state.
///
/// # Errors
/// The database does not answer, or holds a state this build does not know.
pub async fn live_jobs(conn: &impl GenericClient) -> Result<Vec<(String, JobState, i64)>, DatabaseError> {
    const OPERATION: &str = "count jobs";
    let rows = conn.query(LIVE_JOBS, &[]).await.map_err(DatabaseError::query(OPERATION))?;
    rows.iter()
        .map(|row| {
            let state = row.get::<_, &str>("state").parse();
            let state = state.map_err(|error: drydock_domain::state::UnknownName| DatabaseError::Row {
                operation: OPERATION,
                reason: error.to_string(),
            })?;
            Ok((row.get("pool"), state, row.get("jobs")))
        })
        .collect()
}
