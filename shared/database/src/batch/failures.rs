//! Failures grouped by cause: the kind, and the first error with what differs from job to job taken out of it.

use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobId, TenantId};
use uuid::Uuid;

use crate::DatabaseError;

/// Ids, then paths, then numbers make no two errors different; the newest failures tell, at most so many.
const CAUSES: &str = "WITH failed AS (
    SELECT j.id, j.batch_line, coalesce(j.failure_kind, 'agent') AS kind, j.errors[1] AS said
      FROM job j JOIN batch b ON b.id = j.batch_id
     WHERE b.tenant_id = $1 AND j.batch_id = $2 AND j.retried_by IS NULL AND j.state IN ('failed', 'dead')
     ORDER BY j.batch_line LIMIT $3),
  told AS (
    SELECT f.*, left(regexp_replace(regexp_replace(regexp_replace(left(coalesce(f.said, ''), 1000),
             '[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}', '<id>', 'g'), '(/[^\\s/:''\"]+){2,}', '<path>', 'g'), '[0-9]+', '<n>', 'g'), 300) AS cause
      FROM failed f)
  SELECT kind, cause, count(*) AS jobs, (array_agg(id ORDER BY batch_line))[1:5] AS examples, (array_agg(said ORDER BY batch_line))[1] AS said
    FROM told GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100";

/// Jobs that failed alike.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Why the last attempt ended badly.
    pub kind: String,
    /// The first error, with ids, paths and numbers taken out.
    pub cause: String,
    /// The first error of the first of them, as it was.
    pub said: Option<String>,
    /// How many.
    pub jobs: i64,
    /// The first five.
    pub examples: Vec<JobId>,
}

/// The causes of a batch's failures, most frequent first, by its first `most` failed lines.
///
/// # Errors
/// The database does not answer.
pub async fn causes(
    conn: &impl GenericClient,
    tenant: TenantId,
    batch: BatchId,
    most: i64,
) -> Result<Vec<Cause>, DatabaseError> {
    let failed = || DatabaseError::query("group a batch's failures");
    let statement = conn.prepare_cached(CAUSES).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&tenant.uuid(), &batch.uuid(), &most]).await.map_err(failed())?;
    let causes = rows.iter().map(|row| Cause {
        kind: row.get("kind"),
        cause: row.get("cause"),
        said: row.get("said"),
        jobs: row.get("jobs"),
        examples: row.get::<_, Vec<Uuid>>("examples").into_iter().map(JobId::from).collect(),
    });
    Ok(causes.collect())
}
