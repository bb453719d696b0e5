//! The `attempt` table, as the leader sees it: attempts whose worker is over, and finished ones whose log is not sealed.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, TenantId};
use uuid::Uuid;

use crate::{DatabaseError, again};

const ORPHANED: &str = "SELECT a.id FROM worker w JOIN attempt a ON a.worker_id = w.id AND a.state = 'running'
  WHERE w.ended_at IS NOT NULL ORDER BY a.id LIMIT $1";
const JOB_OF: &str = "SELECT job_id FROM attempt WHERE id = $1 AND state = 'running'";
const REAP: &str = "SELECT dd_reap_v2($1, make_interval(secs => $2)) AS answer";
const UNSEALED: &str = "SELECT a.id, j.tenant_id FROM attempt a JOIN job j ON j.id = a.job_id
  WHERE a.finished_at < clock_timestamp() - make_interval(secs => $1) AND a.log_object IS NULL AND a.log_bytes > 32768
  ORDER BY a.finished_at LIMIT $2";
const SEAL: &str = "WITH sealed AS (
    UPDATE attempt SET log_object = $2, log_bytes = $3 WHERE id = $1 AND finished_at IS NOT NULL AND log_object IS NULL RETURNING id)
  DELETE FROM log_chunk WHERE attempt_id IN (SELECT id FROM sealed)";

/// Running attempts of workers that are over, at most `limit`.
///
/// # Errors
/// The database does not answer.
pub async fn orphaned(conn: &impl GenericClient, limit: i64) -> Result<Vec<AttemptId>, DatabaseError> {
    let rows = conn.query(ORPHANED, &[&limit]).await.map_err(DatabaseError::query("list orphaned attempts"))?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("id").into()).collect())
}

/// The job of an attempt that runs.
///
/// # Errors
/// The database does not answer.
pub async fn job_of(conn: &impl GenericClient, attempt: AttemptId) -> Result<Option<JobId>, DatabaseError> {
    let failed = || DatabaseError::query("find the job of an attempt");
    let statement = conn.prepare_cached(JOB_OF).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&attempt.uuid()]).await.map_err(failed())?;
    Ok(row.map(|row| row.get::<_, Uuid>("job_id").into()))
}

/// Takes an attempt back; the answer is `moved_on`, `alive`, or the job's new state.
///
/// # Errors
/// The database does not answer.
pub async fn reap(conn: &impl GenericClient, attempt: AttemptId, grace: Duration) -> Result<String, DatabaseError> {
    let row = again::row(conn, "take back an attempt", REAP, &[&attempt.uuid(), &grace.as_secs_f64()]).await?;
    Ok(row.get("answer"))
}

/// Attempts that ended at least `age` ago and still have their log in rows.
///
/// # Errors
/// The database does not answer.
pub async fn unsealed(
    conn: &impl GenericClient,
    age: Duration,
    limit: i64,
) -> Result<Vec<(AttemptId, TenantId)>, DatabaseError> {
    let rows = conn
        .query(UNSEALED, &[&age.as_secs_f64(), &limit])
        .await
        .map_err(DatabaseError::query("list unsealed logs"))?;
    Ok(rows.iter().map(|row| (row.get::<_, Uuid>("id").into(), row.get::<_, Uuid>("tenant_id").into())).collect())
}

/// The attempt's log is the object from now on; its rows go in the same transaction.
///
/// # Errors
/// The database does not answer.
pub async fn seal(
    conn: &impl GenericClient,
    attempt: AttemptId,
    object: &str,
    bytes: i64,
) -> Result<(), DatabaseError> {
    conn.execute(SEAL, &[&attempt.uuid(), &object, &bytes]).await.map_err(DatabaseError::query("seal a log"))?;
    Ok(())
}
