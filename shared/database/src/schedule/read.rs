//! Schedules as they stand.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, Missed, ProjectId, ScheduleId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    DatabaseError,
    page::{Cursor, Page, one_more},
};

const OPERATION: &str = "read a schedule";

macro_rules! select {
    ($($filter:literal),+) => {
        concat!(
            "SELECT s.id, s.project_id, s.name, s.cron, s.time_zone, s.missed, s.job, s.paused, s.next_at, s.created_at, s.updated_at,
                    clock_timestamp() AS read_at, f.due_at AS last_at, f.job_id AS last_job
               FROM schedule s
               LEFT JOIN LATERAL (SELECT due_at, job_id FROM firing WHERE schedule_id = s.id ORDER BY due_at DESC LIMIT 1) f ON true
              WHERE s.tenant_id = $1 AND s.deleted_at IS NULL AND ",
            $($filter),+
        )
    };
}

const FIND: &str = select!("s.id = $2");
const LIST: &str = select!(
    "(s.created_at, s.id) < ($2, $3) AND ($4::uuid IS NULL OR s.project_id = $4)
      ORDER BY s.created_at DESC, s.id DESC LIMIT $5"
);

/// A schedule as it stands.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    /// Its id.
    pub id: ScheduleId,
    /// Whose jobs it makes.
    pub project_id: ProjectId,
    /// For lists.
    pub name: String,
    /// When, as an expression.
    pub cron: String,
    /// Where the expression's clock hangs.
    pub time_zone: String,
    /// What becomes of missed firings.
    pub missed: Missed,
    /// The job it makes, as `dd_accept_v3` takes it without id, project and time.
    pub job: serde_json::Value,
    /// Does nothing until resumed.
    pub paused: bool,
    /// When it fires next; `None`: never again.
    pub next_at: Option<DateTime<Utc>>,
    /// The due time it last made a job for.
    pub last_at: Option<DateTime<Utc>>,
    /// That job.
    pub last_job: Option<JobId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed or fired.
    pub updated_at: DateTime<Utc>,
    /// When it was read, by the database's clock.
    pub read_at: DateTime<Utc>,
}

impl ScheduleRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.get::<_, Uuid>("id").into(),
            project_id: row.get::<_, Uuid>("project_id").into(),
            name: row.get("name"),
            cron: row.get("cron"),
            time_zone: row.get("time_zone"),
            missed: missed(row, OPERATION)?,
            job: row.get("job"),
            paused: row.get("paused"),
            next_at: row.get("next_at"),
            last_at: row.get("last_at"),
            last_job: row.get::<_, Option<Uuid>>("last_job").map(JobId::from),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
            read_at: row.get("read_at"),
        })
    }
}

pub(super) fn missed(row: &Row, operation: &'static str) -> Result<Missed, DatabaseError> {
    let word = row.get::<_, &str>("missed");
    word.parse().map_err(|error| DatabaseError::Row { operation, reason: format!("{error}") })
}

/// The tenant's schedule, unless it is deleted.
///
/// # Errors
/// The database does not answer.
pub async fn find(
    conn: &impl GenericClient,
    tenant: TenantId,
    id: ScheduleId,
) -> Result<Option<ScheduleRow>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(FIND).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &id.uuid()]).await.map_err(failed())?;
    row.as_ref().map(ScheduleRow::from_row).transpose()
}

/// The tenant's schedules, or those of one project, newest first.
///
/// # Errors
/// The database does not answer.
pub async fn list(
    conn: &impl GenericClient,
    tenant: TenantId,
    project: Option<ProjectId>,
    after: Cursor,
    limit: usize,
) -> Result<Page<ScheduleRow>, DatabaseError> {
    let failed = || DatabaseError::query("list schedules");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn
        .query(
            &statement,
            &[&tenant.uuid(), &after.bound(), &after.id, &project.map(ProjectId::uuid), &one_more(limit)],
        )
        .await
        .map_err(failed())?;
    let rows = rows.iter().map(ScheduleRow::from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |last| Cursor { at: last.created_at, id: last.id.uuid() }))
}
