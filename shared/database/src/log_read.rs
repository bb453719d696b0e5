//! The log of an attempt, reading side: rows of `log_chunk` until the log is sealed, then one object. The same bytes at the
//! same offsets either way.

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::DatabaseError;

macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT a.id, a.number, a.finished_at IS NOT NULL AS finished, a.log_bytes, a.log_object FROM attempt a ",
            $filter
        )
    };
}

const JOB_EXISTS: &str = "SELECT 1 AS found FROM job j JOIN project p ON p.id = j.project_id AND p.deleted_at IS NULL
  WHERE j.tenant_id = $1 AND j.project_id = $2 AND j.id = $3";
const OF_JOB: &str =
    select!("WHERE a.job_id = $1 AND ($2::smallint IS NULL OR a.number = $2) ORDER BY a.number DESC LIMIT 1");
const REFRESH: &str = select!("WHERE a.id = $1");
const CHUNKS: &str = "SELECT seq, byte_offset, length, data, object FROM log_chunk
  WHERE attempt_id = $1 AND seq > $2 AND byte_offset + length > $3 ORDER BY seq LIMIT $4";
const END: &str = "SELECT byte_offset + length AS bytes FROM log_chunk WHERE attempt_id = $1 ORDER BY seq DESC LIMIT 1";

/// Where the log of an attempt is.
#[derive(Clone, Debug)]
pub struct AttemptLog {
    /// The attempt.
    pub attempt: AttemptId,
    /// Which try it is.
    pub number: i16,
    /// Whether the attempt is over, so that `bytes` is final.
    pub finished: bool,
    /// Bytes written, known when the attempt is over.
    pub bytes: i64,
    /// The object that holds all of it, once sealed.
    pub object: Option<String>,
}

impl AttemptLog {
    pub(crate) fn from_row(row: &Row) -> Self {
        Self {
            attempt: row.get::<_, Uuid>("id").into(),
            number: row.get("number"),
            finished: row.get("finished"),
            bytes: row.get("log_bytes"),
            object: row.get("log_object"),
        }
    }
}

/// A piece of a log that is not sealed.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its number in the log.
    pub seq: i32,
    /// Where it starts.
    pub offset: i64,
    /// Its bytes.
    pub length: i32,
    /// The bytes, unless they are in an object.
    pub data: Option<Vec<u8>>,
    /// The key of the object that holds them.
    pub object: Option<String>,
}

/// Whether the tenant has this job in this project.
///
/// # Errors
/// The database does not answer.
pub async fn job_exists(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: ProjectId,
    job: JobId,
) -> Result<bool, DatabaseError> {
    let failed = || DatabaseError::query("look for a job");
    let statement = conn.prepare_cached(JOB_EXISTS).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &project.uuid(), &job.uuid()]).await.map_err(failed())?;
    Ok(row.is_some())
}

/// The log of the job's attempt `number`, of the newest one when `None`.
///
/// # Errors
/// The database does not answer.
pub async fn of_job(
    conn: &impl GenericClient,
    job: JobId,
    number: Option<i16>,
) -> Result<Option<AttemptLog>, DatabaseError> {
    let failed = || DatabaseError::query("find a log");
    let statement = conn.prepare_cached(OF_JOB).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&job.uuid(), &number]).await.map_err(failed())?;
    Ok(row.as_ref().map(AttemptLog::from_row))
}

/// Where the attempt's log is by now.
///
/// # Errors
/// The database does not answer.
pub async fn refresh(conn: &impl GenericClient, attempt: AttemptId) -> Result<AttemptLog, DatabaseError> {
    let failed = || DatabaseError::query("find a log again");
    let statement = conn.prepare_cached(REFRESH).await.map_err(failed())?;
    let row = conn.query_one(&statement, &[&attempt.uuid()]).await.map_err(failed())?;
    Ok(AttemptLog::from_row(&row))
}

/// Chunks after number `after` that hold bytes at or beyond `offset`, in order. None when the log has been sealed meanwhile.
///
/// # Errors
/// The database does not answer.
pub async fn chunks(
    conn: &impl GenericClient,
    attempt: AttemptId,
    after: i32,
    offset: i64,
    limit: i64,
) -> Result<Vec<Chunk>, DatabaseError> {
    let failed = || DatabaseError::query("read a log");
    let statement = conn.prepare_cached(CHUNKS).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&attempt.uuid(), &after, &offset, &limit]).await.map_err(failed())?;
    Ok(rows
        .iter()
        .map(|row| Chunk {
            seq: row.get("seq"),
            offset: row.get("byte_offset"),
            length: row.get("length"),
            data: row.get("data"),
            object: row.get("object"),
        })
        .collect())
}

/// Bytes in chunks so far.
///
/// # Errors
/// The database does not answer.
pub async fn end(conn: &impl GenericClient, attempt: AttemptId) -> Result<i64, DatabaseError> {
    let failed = || DatabaseError::query("measure a log");
    let statement = conn.prepare_cached(END).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&attempt.uuid()]).await.map_err(failed())?;
    Ok(row.map_or(0, |row| row.get("bytes")))
}
