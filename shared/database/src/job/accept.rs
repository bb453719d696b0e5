//! The acceptance: the one statement after which a job is never lost.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{Isolation, JobId, JobType, ProjectId, ScheduleId, TenantId};
use futures_util::future;
use serde::{Serialize, Serializer};
use serde_json::json;
use tokio_postgres::{Row, types::Json};
use uuid::Uuid;

use super::read::{self, JobRow};
use crate::DatabaseError;

const ACCEPT: &str = "SELECT outcome, job_id FROM dd_accept_v2($1, $2)";
const OPERATION: &str = "accept jobs";

/// A job to be accepted: an element of `dd_accept_v2`'s array.
#[derive(Clone, Debug, Serialize)]
pub struct NewJob {
    /// Its id, chosen by the caller.
    pub id: JobId,
    /// Whose workspace.
    #[serde(rename = "project_id")]
    pub project: ProjectId,
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
    /// Its changes are discarded; it shares its project with a writer.
    pub read_only: bool,
    /// A failed attempt's files become a version.
    pub keep_on_error: bool,
    /// Repetitions after a failure of the agent.
    pub retries: i16,
    /// Longest run.
    pub timeout_s: Option<i32>,
    /// Longest wait for a worker, from when it is due.
    pub queue_timeout_s: Option<i32>,
    /// Longest time without output.
    pub silence_timeout_s: Option<i32>,
    /// The least isolation accepted; never less than the project's.
    pub min_isolation: Isolation,
    /// Labels a worker must carry: an object of strings.
    pub requires: serde_json::Value,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// Not before this time.
    pub run_at: Option<DateTime<Utc>>,
    /// Jobs that must have completed before.
    pub depends_on: Vec<JobId>,
    /// The job this one repeats.
    pub retry_of: Option<JobId>,
    /// The schedule that made it.
    pub schedule_id: Option<ScheduleId>,
    /// Makes a repeated request harmless.
    #[serde(flatten)]
    pub idempotency: Option<Idempotency>,
}

impl NewJob {
    /// A job that asks for nothing special.
    pub fn new(project: ProjectId, job_type: JobType, title: String, instruction: String) -> Self {
        Self {
            id: JobId::generate(),
            project,
            job_type,
            title,
            instruction,
            argv: None,
            agent: None,
            priority: 0,
            read_only: false,
            keep_on_error: false,
            retries: 0,
            timeout_s: None,
            queue_timeout_s: None,
            silence_timeout_s: None,
            min_isolation: Isolation::None,
            requires: json!({}),
            labels: json!({}),
            run_at: None,
            depends_on: Vec::new(),
            retry_of: None,
            schedule_id: None,
            idempotency: None,
        }
    }

    /// What a schedule keeps of it: all but its id, its project, its key and what only a single job has.
    ///
    /// # Errors
    /// Its labels are no JSON.
    pub fn template(&self) -> Result<serde_json::Value, serde_json::Error> {
        const OWN: [&str; 8] =
            ["id", "project_id", "run_at", "depends_on", "retry_of", "schedule_id", "key", "fingerprint"];
        let mut template = serde_json::to_value(self)?;
        if let Some(fields) = template.as_object_mut() {
            fields.retain(|name, value| !OWN.contains(&name.as_str()) && !value.is_null());
        }
        Ok(template)
    }
}

/// The key of a request that may be repeated, and the hash of what it asks for.
#[derive(Clone, Debug, Serialize)]
pub struct Idempotency {
    /// 1 to 255 characters.
    pub key: String,
    /// BLAKE3 of the request.
    #[serde(serialize_with = "as_hex")]
    pub fingerprint: [u8; 32],
}

fn as_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    serializer.serialize_str(&text)
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
    /// It depends on a job this tenant does not have.
    NoDependency,
}

/// Accepts jobs of one tenant in one transaction, each with its own answer, in the order given.
///
/// # Errors
/// The database does not answer: the jobs may have been accepted, all or none.
pub async fn accept_all(
    conn: &impl GenericClient,
    tenant: TenantId,
    jobs: &[NewJob],
) -> Result<Vec<Accepted>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(ACCEPT).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &Json(jobs)]).await.map_err(failed())?;
    rows.iter().map(answer).collect()
}

/// Accepts one job.
///
/// # Errors
/// The database does not answer: the job may have been accepted.
pub async fn accept(conn: &impl GenericClient, tenant: TenantId, job: &NewJob) -> Result<Accepted, DatabaseError> {
    let answers = accept_all(conn, tenant, std::slice::from_ref(job)).await?;
    answers.first().copied().ok_or_else(|| unknown("none"))
}

/// Like [`accept`], and reads the new job in the same round trip: the second statement is sent before the first answers.
///
/// # Errors
/// The database does not answer: the job may have been accepted.
pub async fn accept_and_read(
    conn: &impl GenericClient,
    tenant: TenantId,
    job: &NewJob,
) -> Result<(Accepted, Option<JobRow>), DatabaseError> {
    let statement = read::prepare_find(conn).await?;
    let _cached = conn.prepare_cached(ACCEPT).await.map_err(DatabaseError::query(OPERATION))?;
    // PostgreSQL answers in the order asked, so the read sees the committed row.
    let (accepted, row) =
        future::join(accept(conn, tenant, job), read::find_prepared(conn, &statement, tenant, job.id)).await;
    Ok((accepted?, row?))
}

fn answer(row: &Row) -> Result<Accepted, DatabaseError> {
    let id: Option<Uuid> = row.get("job_id");
    match (row.get::<_, &str>("outcome"), id) {
        ("accepted", Some(id)) => Ok(Accepted::New(id.into())),
        ("replayed", Some(id)) => Ok(Accepted::Replayed(id.into())),
        ("key_reused", _) => Ok(Accepted::KeyReused),
        ("no_project", _) => Ok(Accepted::NoProject),
        ("no_dependency", _) => Ok(Accepted::NoDependency),
        (other, _) => Err(unknown(other)),
    }
}

fn unknown(outcome: &str) -> DatabaseError {
    DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{outcome}'") }
}
