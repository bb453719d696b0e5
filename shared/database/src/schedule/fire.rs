//! Firing: which schedules are due, and the one transaction that makes the job and moves the schedule on.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, Missed, ProjectId, ScheduleId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::read::missed;
use crate::{DatabaseError, again};

/// `now()` and not the volatile clock, which no index can be searched with.
const DUE: &str = "SELECT s.id, s.project_id, s.cron, s.time_zone, s.missed, s.job, s.next_at, clock_timestamp() AS now
  FROM schedule s WHERE NOT s.paused AND s.deleted_at IS NULL AND s.next_at <= now() ORDER BY s.next_at LIMIT $1";
const FIRE: &str = "SELECT dd_fire_v3($1, $2, $3, $4) AS outcome";

/// A schedule whose time has come.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which.
    pub id: ScheduleId,
    /// Whose jobs it makes.
    pub project: ProjectId,
    /// When, as an expression.
    pub cron: String,
    /// Where the expression's clock hangs.
    pub time_zone: String,
    /// What becomes of missed firings.
    pub missed: Missed,
    /// The job it makes.
    pub job: Value,
    /// The time that has come.
    pub due_at: DateTime<Utc>,
    /// When this was read, by the database's clock.
    pub now: DateTime<Utc>,
}

/// What firing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// This job was accepted.
    Job(JobId),
    /// The time passed without a job, as wanted.
    Skipped,
    /// Somebody else fired, paused or removed it.
    MovedOn,
    /// Its project is gone: the time passed without a job.
    NoProject,
    /// Its tenant has used up a quota: the time passed without a job.
    OverQuota,
}

/// At most `limit` schedules whose time has come, the oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn due(conn: &impl GenericClient, limit: i64) -> Result<Vec<Due>, DatabaseError> {
    const OPERATION: &str = "find schedules that are due";
    let statement = conn.prepare_cached(DUE).await.map_err(DatabaseError::query(OPERATION))?;
    let rows = conn.query(&statement, &[&limit]).await.map_err(DatabaseError::query(OPERATION))?;
    let due = |row: &tokio_postgres::Row| {
        Ok(Due {
            id: row.get::<_, Uuid>("id").into(),
            project: row.get::<_, Uuid>("project_id").into(),
            cron: row.get("cron"),
            time_zone: row.get("time_zone"),
            missed: missed(row, OPERATION)?,
            job: row.get("job"),
            due_at: row.get("next_at"),
            now: row.get("now"),
        })
    };
    rows.iter().map(due).collect()
}

/// Fires `due`: the job, unless this time is to pass without one, and the next time, in one transaction. Repeating it, or doing it
/// twice at once, makes one job.
///
/// # Errors
/// The database does not answer: it may have fired.
pub async fn fire(
    conn: &impl GenericClient,
    due: &Due,
    next: Option<DateTime<Utc>>,
    fires: bool,
) -> Result<Fired, DatabaseError> {
    const OPERATION: &str = "fire a schedule";
    let bad = |reason: String| DatabaseError::Row { operation: OPERATION, reason };
    let job = JobId::generate();
    let asked = fires.then(|| asked(due, job)).transpose().map_err(bad)?;
    let row = again::row(conn, OPERATION, FIRE, &[&due.id.uuid(), &due.due_at, &next, &asked]).await?;
    match row.get::<_, &str>("outcome") {
        "accepted" => Ok(Fired::Job(job)),
        "skipped" => Ok(Fired::Skipped),
        "moved_on" => Ok(Fired::MovedOn),
        "no_project" => Ok(Fired::NoProject),
        "over_quota" => Ok(Fired::OverQuota),
        other => Err(bad(format!("unknown outcome '{other}'"))),
    }
}

fn asked(due: &Due, job: JobId) -> Result<Value, String> {
    let mut asked = due.job.clone();
    let fields = asked.as_object_mut().ok_or_else(|| format!("the job of schedule {} is no object", due.id))?;
    fields.insert("id".to_owned(), json!(job));
    fields.insert("project_id".to_owned(), json!(due.project));
    fields.insert("schedule_id".to_owned(), json!(due.id));
    Ok(asked)
}
