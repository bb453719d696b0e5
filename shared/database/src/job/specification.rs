//! What a job was asked to be, to ask for it again.

use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, JobState, ProjectId, TenantId};
use uuid::Uuid;

use super::NewJob;
use crate::DatabaseError;

const OPERATION: &str = "read what a job asks for";
/// A dependency that ended badly is not asked for again: who repeats the job has decided to go on without it.
const SPECIFICATION: &str =
    "SELECT j.project_id, j.state::text AS state, j.job_type::text AS job_type, j.title, j.instruction, j.argv,
    j.agent, j.priority, j.read_only, j.keep_on_error, j.retries, j.timeout_s, j.queue_timeout_s, j.silence_timeout_s,
    j.min_isolation::text AS min_isolation, j.requires, j.labels,
    ARRAY(SELECT d.id FROM unnest(j.depends_on) WITH ORDINALITY AS u (id, n) JOIN job d ON d.id = u.id
           WHERE d.state NOT IN ('failed', 'dead', 'canceled') ORDER BY u.n) AS depends_on
  FROM job j WHERE j.tenant_id = $1 AND j.id = $2";

/// Where the tenant's job stands, and a new job that asks for the same, at once, as its repetition.
///
/// # Errors
/// The database does not answer.
pub async fn again(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: JobId,
) -> Result<Option<(JobState, NewJob)>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let bad = |reason: String| DatabaseError::Row { operation: OPERATION, reason };
    let statement = conn.prepare_cached(SPECIFICATION).await.map_err(failed())?;
    let Some(row) = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())? else {
        return Ok(None);
    };
    let project: ProjectId = row.get::<_, Uuid>("project_id").into();
    let job_type = row.get::<_, &str>("job_type").parse().map_err(|error| bad(format!("{error}")))?;
    let state = row.get::<_, &str>("state").parse().map_err(|error| bad(format!("{error}")))?;
    let job = NewJob {
        argv: row.get("argv"),
        agent: Some(row.get("agent")),
        priority: row.get("priority"),
        read_only: row.get("read_only"),
        keep_on_error: row.get("keep_on_error"),
        retries: row.get("retries"),
        timeout_s: row.get("timeout_s"),
        queue_timeout_s: row.get("queue_timeout_s"),
        silence_timeout_s: row.get("silence_timeout_s"),
        min_isolation: row.get::<_, &str>("min_isolation").parse().map_err(|error| bad(format!("{error}")))?,
        requires: row.get("requires"),
        labels: row.get("labels"),
        depends_on: row.get::<_, Vec<Uuid>>("depends_on").into_iter().map(JobId::from).collect(),
        retry_of: Some(id),
        ..NewJob::new(project, job_type, row.get("title"), row.get("instruction"))
    };
    Ok(Some((state, job)))
}
