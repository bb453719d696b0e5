//! The logs of a batch's lines: of each the newest job's newest attempt.

use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, JobState, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::lines::LineFilter;
use crate::{DatabaseError, log_read::AttemptLog};

const OPERATION: &str = "find a batch's logs";

macro_rules! select {
    ($state:literal) => {
        concat!(
            "SELECT j.batch_line, j.id AS job, j.project_id, j.title, j.state::text AS state,
                    a.id, a.number, a.finished_at IS NOT NULL AS finished, a.log_bytes, a.log_object
               FROM job j JOIN batch b ON b.id = j.batch_id JOIN project p ON p.id = j.project_id AND p.deleted_at IS NULL
               LEFT JOIN LATERAL (SELECT * FROM attempt t WHERE t.job_id = j.id ORDER BY t.number DESC LIMIT 1) a ON true
              WHERE b.tenant_id = $1 AND j.batch_id = $2 AND j.retried_by IS NULL AND j.batch_line > $3 AND ",
            $state,
            " ORDER BY j.batch_line LIMIT $4"
        )
    };
}

const ALL: &str = select!("true");
const ENDED: &str = select!("j.finished_at IS NOT NULL");
const FAILED: &str = select!("j.state IN ('failed', 'dead')");
const COMPLETED: &str = select!("j.state = 'succeeded'");

/// A line's log.
#[derive(Clone, Debug)]
pub struct LineLog {
    /// From 1.
    pub line: i32,
    /// The job.
    pub job: JobId,
    /// Whose.
    pub project: ProjectId,
    /// For lists.
    pub title: String,
    /// Where the job stands.
    pub state: JobState,
    /// The log; none where the job has not been tried yet.
    pub log: Option<AttemptLog>,
}

impl LineLog {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        let state = row.get::<_, &str>("state").parse();
        Ok(Self {
            line: row.get("batch_line"),
            job: row.get::<_, Uuid>("job").into(),
            project: row.get::<_, Uuid>("project_id").into(),
            title: row.get("title"),
            state: state.map_err(|error| DatabaseError::Row { operation: OPERATION, reason: format!("{error}") })?,
            log: row.get::<_, Option<Uuid>>("id").map(|_| AttemptLog::from_row(row)),
        })
    }
}

/// The logs of up to `most` lines after line `after` that pass `filter`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn line_logs(
    conn: &impl GenericClient,
    tenant: TenantId,
    batch: BatchId,
    filter: LineFilter,
    after: i32,
    most: i64,
) -> Result<Vec<LineLog>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let sql = match filter {
        LineFilter::All => ALL,
        LineFilter::Ended => ENDED,
        LineFilter::Failed => FAILED,
        LineFilter::Completed => COMPLETED,
    };
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &batch.uuid(), &after, &most]).await.map_err(failed())?;
    rows.iter().map(LineLog::from_row).collect()
}
