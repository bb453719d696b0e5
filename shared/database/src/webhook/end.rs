//! Ends of jobs, as messages tell of them. What they hold does not change after the end, so that each try says the same.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, JobState, JobType, ProjectId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::DatabaseError;

const OPERATION: &str = "read the ends of jobs";
/// Cut here: what is not sent need not be read.
const ENDS: &str = "SELECT id, project_id, batch_id, job_type::text AS job_type, title, state::text AS state, left(summary, 2000) AS summary,
    failure_kind, cancel_reason, ARRAY(SELECT left(e, 500) FROM unnest(errors[1:5]) AS e) AS errors, version, attempts, labels, retry_of,
    cardinality(created_files) AS created, cardinality(modified_files) AS modified, cardinality(deleted_files) AS deleted,
    created_at, started_at, finished_at FROM job WHERE id = ANY ($1)";

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobEnd {
    /// Which.
    pub id: JobId,
    /// Of which project.
    pub project_id: ProjectId,
    /// Of which batch.
    pub batch_id: Option<BatchId>,
    /// The job that it repeats.
    pub retry_of: Option<JobId>,
    /// What it did.
    pub job_type: JobType,
    /// For lists.
    pub title: String,
    /// How it ended.
    pub state: JobState,
    /// What the agent said it did, at most 2,000 characters of it.
    pub summary: Option<String>,
    /// Why it did not end well.
    pub failure_kind: Option<String>,
    /// What was said when it was cancelled.
    pub cancel_reason: Option<String>,
    /// At most five errors of at most 500 characters.
    pub errors: Vec<String>,
    /// The version it made.
    pub version: Option<i32>,
    /// How many tries it took.
    pub attempts: i16,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// Files made, changed and deleted.
    pub files: [i32; 3],
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was first started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

impl JobEnd {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let bad = |reason: String| DatabaseError::Row { operation: OPERATION, reason };
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            project_id: row.get::<_, Uuid>("project_id").into(),
            batch_id: row.get::<_, Option<Uuid>>("batch_id").map(BatchId::from),
            retry_of: row.get::<_, Option<Uuid>>("retry_of").map(JobId::from),
            job_type: row.get::<_, &str>("job_type").parse().map_err(|error| bad(format!("{error}")))?,
            title: row.get("title"),
            state: row.get::<_, &str>("state").parse().map_err(|error| bad(format!("{error}")))?,
            summary: row.get("summary"),
            failure_kind: row.get("failure_kind"),
            cancel_reason: row.get("cancel_reason"),
            errors: row.get("errors"),
            version: row.get("version"),
            attempts: row.get("attempts"),
            labels: row.get("labels"),
            files: [row.get("created"), row.get("modified"), row.get("deleted")],
            created_at: row.get("created_at"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
        })
    }
}

/// The ends of some jobs, in no order.
///
/// # Errors
/// The database does not answer.
pub async fn job_ends(conn: &impl GenericClient, jobs: &[JobId]) -> Result<Vec<JobEnd>, DatabaseError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let failed = || DatabaseError::query(OPERATION);
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let statement = conn.prepare_cached(ENDS).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&ids]).await.map_err(failed())?;
    rows.iter().map(JobEnd::from_row).collect()
}
