//! The acceptance: the one statement after which a job is never lost.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{Isolation, JobId, JobType, ProjectId, TenantId};
use futures_util::future;
use uuid::Uuid;

use super::read::{self, JobRow};
use crate::DatabaseError;

const ACCEPT: &str = "SELECT outcome, job_id FROM dd_accept_v1(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
const OPERATION: &str = "accept a job";

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id, chosen by the caller.
    pub id: JobId,
    /// Whose workspace.
    pub project: ProjectId,
    /// Owner.
    pub tenant: TenantId,
    /// What kind of work.
    pub job_type: JobType,
    /// For lists.
    pub title: String,
    /// What to do.
    pub instruction: String,
    /// The command line of a `command` job.
    pub argv: Option<Vec<String>>,
    /// The agent; the project's when `None`.
    pub agent: Option<String>,
    /// 0 to 9, highest first.
    pub priority: i16,
    /// Its changes are discarded; it waits for no other job.
    pub read_only: bool,
    /// A failed attempt's files become a version.
    pub keep_on_error: bool,
    /// Repetitions after a failure of the agent.
    pub retries: i16,
    /// Longest run.
    pub timeout_s: Option<i32>,
    /// The least isolation accepted; never less than the project's.
    pub min_isolation: Isolation,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// Not before this time.
    pub run_at: Option<DateTime<Utc>>,
    /// The job this one repeats.
    pub retry_of: Option<JobId>,
    /// Makes a repeated request harmless.
    pub idempotency: Option<Idempotency>,
}

/// The key of a request that may be repeated, and the hash of what it asks for.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// 1 to 255 characters.
    pub key: String,
    /// BLAKE3 of the request.
    pub fingerprint: [u8; 32],
}

/// The answer to an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Durable from now on.
    New(JobId),
    /// The same request was accepted before, as this job.
    Replayed(JobId),
    /// The key was used for another request.
    KeyReused,
    /// No such project of this tenant.
    NoProject,
}

/// Accepts `job`: the key, the lane and the row in one transaction.
///
/// # Errors
/// The database does not answer: the job may have been accepted.
pub async fn accept(conn: &impl GenericClient, job: &NewJob) -> Result<Accepted, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let (key, fingerprint) =
        job.idempotency.as_ref().map_or((None, None), |it| (Some(&it.key), Some(it.fingerprint.as_slice())));
    let statement = conn.prepare_cached(ACCEPT).await.map_err(failed())?;
    let row = conn
        .query_one(
            &statement,
            &[
                &job.id.uuid(),
                &job.project.uuid(),
                &job.tenant.uuid(),
                &job.job_type.as_str(),
                &job.title,
                &job.instruction,
                &job.argv,
                &job.agent,
                &job.priority,
                &job.read_only,
                &job.keep_on_error,
                &job.retries,
                &job.timeout_s,
                &job.min_isolation.as_str(),
                &job.labels,
                &job.run_at,
                &job.retry_of.map(JobId::uuid),
                &key,
                &fingerprint,
            ],
        )
        .await
        .map_err(failed())?;
    let id: Option<Uuid> = row.get("job_id");
    match (row.get::<_, &str>("outcome"), id) {
        ("accepted", Some(id)) => Ok(Accepted::New(id.into())),
        ("replayed", Some(id)) => Ok(Accepted::Replayed(id.into())),
        ("key_reused", _) => Ok(Accepted::KeyReused),
        ("no_project", _) => Ok(Accepted::NoProject),
        (other, _) => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    }
}

/// Like [`accept`], and reads the new job in the same round trip: the second statement is sent before the first answers.
///
/// # Errors
/// The database does not answer: the job may have been accepted.
pub async fn accept_and_read(
    conn: &impl GenericClient,
    job: &NewJob,
) -> Result<(Accepted, Option<JobRow>), DatabaseError> {
    let statement = read::prepare_find(conn).await?;
    let _cached = conn.prepare_cached(ACCEPT).await.map_err(DatabaseError::query(OPERATION))?;
    // PostgreSQL answers in the order asked, so the read sees the committed row.
    let (accepted, row) =
        future::join(accept(conn, job), read::find_prepared(conn, &statement, job.tenant, job.id)).await;
    Ok((accepted?, row?))
}
