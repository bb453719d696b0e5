//! Lists of jobs, newest first: a filtered keyset page over `(created_at, id)`.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{BatchId, JobState, JobType, ProjectId, TenantId};

use super::read::{JobRow, detail, select_job};
use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

/// Plans are made without the parameters, and a filter that may be left out then looks as if it let almost nothing pass: with a page of one row
/// to expect, PostgreSQL would sort all of a project's jobs. Of what is inside of `coalesce` it expects half.
macro_rules! list {
    ($owner:literal) => {
        select_job!(
            "WHERE ",
            $owner,
            " AND (j.created_at, j.id) < ($3, $4) AND ($5::timestamptz IS NULL OR j.created_at >= $5)
                AND coalesce($6::text[] IS NULL OR j.state = ANY ($6::text[]::job_state[]), false)
                AND coalesce($7::text[] IS NULL OR j.job_type = ANY ($7::text[]::job_type[]), false)
                AND coalesce(j.labels @> $8, false) AND coalesce($10::text[] IS NULL OR ",
            detail!(),
            " = ANY ($10), false) ORDER BY j.created_at DESC, j.id DESC LIMIT $9"
        )
    };
}

// A statement each, so that each has the index made for it.
const OF_TENANT: &str = list!("j.tenant_id = $1 AND $2::uuid IS NULL AND $11::uuid IS NULL");
// The tenant is asked of each row, and no key: its own index would seem as good, and has to read past all that other projects did since.
const OF_PROJECT: &str = list!(
    "(j.tenant_id = $1) IS TRUE AND j.project_id = $2 AND coalesce($11::uuid IS NULL OR j.batch_id = $11, false)"
);
const OF_BATCH: &str = list!("j.tenant_id = $1 AND $2::uuid IS NULL AND j.batch_id = $11");
/// The quarantine: few among many.
const DEAD: &str = list!(
    "j.tenant_id = $1 AND j.state = 'dead' AND ($2::uuid IS NULL OR j.project_id = $2)
  AND ($11::uuid IS NULL OR j.batch_id = $11)"
);

/// Which jobs. An empty list of states or types means any.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this batch only.
    pub batch: Option<BatchId>,
    /// In one of these states.
    pub states: Vec<JobState>,
    /// Standing exactly so, in the words of the API.
    pub details: Vec<String>,
    /// Of one of these types.
    pub types: Vec<JobType>,
    /// With these labels.
    pub labels: Vec<(String, String)>,
    /// Accepted at or after this time.
    pub since: Option<DateTime<Utc>>,
}

/// The tenant's jobs that pass `filter`, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    filter: &JobFilter,
    after: Cursor,
    limit: usize,
) -> Result<Page<JobRow>, DatabaseError> {
    let failed = || DatabaseError::query("list jobs");
    let states = any_or(filter.states.iter().map(|state| state.as_str()));
    let types = any_or(filter.types.iter().map(|job_type| job_type.as_str()));
    let labels = filter.labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    let labels = serde_json::Value::Object(labels.collect());
    let project = filter.project.map(ProjectId::uuid);
    let batch = filter.batch.map(BatchId::uuid);
    let details = any_or(filter.details.iter().map(String::as_str));
    let sql = match &filter.details[..] {
        [dead] if dead == JobState::Dead.as_str() => DEAD,
        _ if project.is_some() => OF_PROJECT,
        _ if batch.is_some() => OF_BATCH,
        _ => OF_TENANT,
    };
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let rows = conn
        .query(
            &statement,
            &[
                &tenant.uuid(),
                &project,
                &after.bound(),
                &after.id,
                &filter.since,
                &states,
                &types,
                &labels,
                &one_more(limit),
                &details,
                &batch,
            ],
        )
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(JobRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}

fn any_or<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<&'a str>> {
    let words: Vec<&str> = words.collect();
    if words.is_empty() { None } else { Some(words) }
}
