//! Cancelling a job, and which workers are to stop one.

use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, TenantId, WorkerId};
use uuid::Uuid;

use crate::{DatabaseError, again};

const CANCEL: &str = "SELECT dd_cancel_v1($1, $2, $3) AS answer";
const CANCELLING: &str = "SELECT DISTINCT a.worker_id FROM job j JOIN attempt a ON a.id = j.current_attempt
  WHERE j.state = 'running' AND j.cancel_at IS NOT NULL
  UNION SELECT a.worker_id FROM session s JOIN job j ON j.id = s.job_id JOIN attempt a ON a.id = j.current_attempt
  WHERE s.release_asked_at IS NOT NULL AND s.ended_at IS NULL AND j.state = 'running' LIMIT 1000";

/// The answer to a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceled {
    /// The job is over.
    Now,
    /// Its worker is to stop it; nothing of it will be published.
    Soon,
    /// It had ended before.
    Final,
    /// No such job of this tenant.
    NoJob,
}

/// Cancels the tenant's job. Repeating the call changes nothing.
///
/// # Errors
/// The database does not answer: the job may have been cancelled.
pub async fn cancel(
    conn: &impl GenericClient,
    tenant: TenantId,
    job: JobId,
    reason: Option<&str>,
) -> Result<Canceled, DatabaseError> {
    const OPERATION: &str = "cancel a job";
    let row = again::row(conn, OPERATION, CANCEL, &[&tenant.uuid(), &job.uuid(), &reason]).await?;
    match row.get::<_, &str>("answer") {
        "canceled" => Ok(Canceled::Now),
        "cancelling" => Ok(Canceled::Soon),
        "final" => Ok(Canceled::Final),
        "no_job" => Ok(Canceled::NoJob),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}

/// Workers that run a job which is to be cancelled, or a session which is to be released.
///
/// # Errors
/// The database does not answer.
pub async fn cancelling(conn: &impl GenericClient) -> Result<Vec<WorkerId>, DatabaseError> {
    let failed = || DatabaseError::query("list workers with cancelled jobs");
    let statement = conn.prepare_cached(CANCELLING).await.map_err(failed())?;
    let rows = conn.query(&statement, &[]).await.map_err(failed())?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("worker_id").into()).collect())
}
