//! What came of each line, in the order of the file: of a line that was run again, the newest job.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, JobState, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{DatabaseError, job::read::detail};

const OPERATION: &str = "read a batch's lines";

macro_rules! select {
    ($state:literal) => {
        concat!(
            "SELECT j.batch_line, j.id, j.project_id, j.title, j.labels, j.state::text AS state, ",
            detail!(),
            " AS detail, j.summary, j.output, j.errors, j.failure_kind, j.version, j.attempts::int AS attempts,
                    j.created_files, j.modified_files, j.deleted_files, j.started_at, j.finished_at,
                    extract(epoch FROM j.finished_at - j.started_at)::float8 AS run_s
               FROM job j JOIN batch b ON b.id = j.batch_id
              WHERE b.tenant_id = $1 AND j.batch_id = $2 AND j.retried_by IS NULL AND j.batch_line > $3 AND ",
            $state,
            " ORDER BY j.batch_line LIMIT $4"
        )
    };
}

const ALL: &str = select!("true");
const ENDED: &str = select!("j.finished_at IS NOT NULL");
// Has an index of its own: failures are few among many.
const FAILED: &str = select!("j.state IN ('failed', 'dead')");
const COMPLETED: &str = select!("j.state = 'succeeded'");

/// Which lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFilter {
    /// Every one.
    All,
    /// Whose job is over.
    Ended,
    /// Whose job failed.
    Failed,
    /// Whose job ended well.
    Completed,
}

/// A line's job as it stands.
#[derive(Clone, Debug)]
pub struct LineRow {
    /// From 1.
    pub line: i32,
    /// The job.
    pub job: JobId,
    /// Whose.
    pub project: ProjectId,
    /// For lists.
    pub title: String,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// Where it stands.
    pub state: JobState,
    /// Where exactly, in the words of the API.
    pub detail: String,
    /// The agent's summary.
    pub summary: Option<String>,
    /// The agent's last message.
    pub output: Option<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// Why it ended badly.
    pub failure_kind: Option<String>,
    /// The version it made.
    pub version: Option<i32>,
    /// Tries.
    pub attempts: i32,
    /// Paths that were new.
    pub created_files: Vec<String>,
    /// Paths that changed.
    pub modified_files: Vec<String>,
    /// Paths that went.
    pub deleted_files: Vec<String>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Seconds between the two.
    pub run_s: Option<f64>,
}

impl LineRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let state = row.get::<_, &str>("state").parse();
        Ok(Self {
            line: row.get("batch_line"),
            job: row.get::<_, Uuid>("id").into(),
            project: row.get::<_, Uuid>("project_id").into(),
            title: row.get("title"),
            labels: row.get("labels"),
            state: state.map_err(|error| DatabaseError::Row { operation: OPERATION, reason: format!("{error}") })?,
            detail: row.get("detail"),
            summary: row.get("summary"),
            output: row.get("output"),
            errors: row.get("errors"),
            failure_kind: row.get("failure_kind"),
            version: row.get("version"),
            attempts: row.get("attempts"),
            created_files: row.get("created_files"),
            modified_files: row.get("modified_files"),
            deleted_files: row.get("deleted_files"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
            run_s: row.get("run_s"),
        })
    }
}

/// Up to `most` lines after line `after` that pass `filter`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn lines(
    conn: &impl GenericClient,
    tenant: TenantId,
    batch: BatchId,
    filter: LineFilter,
    after: i32,
    most: i64,
) -> Result<Vec<LineRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let sql = match filter {
        LineFilter::All => ALL,
        LineFilter::Ended => ENDED,
        LineFilter::Failed => FAILED,
        LineFilter::Completed => COMPLETED,
    };
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &batch.uuid(), &after, &most]).await.map_err(failed())?;
    rows.iter().map(LineRow::from_row).collect()
}
