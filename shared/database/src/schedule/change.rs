//! Making, changing and removing schedules. One row each; a change holds only if nobody else, a firing included, came between.

use chrono::{DateTime, Utc};
use deadpool_postgres::{Client, GenericClient};
use drydock_domain::{Missed, ProjectId, ScheduleId, TenantId};
use uuid::Uuid;

use super::read::ScheduleRow;
use crate::{DatabaseError, job::Idempotency};

const NOW: &str = "SELECT clock_timestamp() AS now";
const KEY: &str =
    "INSERT INTO idempotency (tenant_id, key, fingerprint, resource_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const KEYED: &str = "SELECT resource_id, fingerprint = $3 AS same FROM idempotency WHERE tenant_id = $1 AND key = $2";
const CREATE: &str =
    "INSERT INTO schedule (id, tenant_id, project_id, name, cron, time_zone, missed, job, paused, next_at)
  SELECT $1, p.tenant_id, p.id, $4, $5, $6, $7, $8, $9, $10 FROM project p
   WHERE p.id = $3 AND p.tenant_id = $2 AND p.deleted_at IS NULL";
const UPDATE: &str =
    "UPDATE schedule SET name = $4, cron = $5, time_zone = $6, missed = $7, job = $8, paused = $9, next_at = $10
   WHERE tenant_id = $1 AND id = $2 AND updated_at = $3 AND deleted_at IS NULL";
const DELETE: &str =
    "UPDATE schedule SET deleted_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL";

/// A schedule to be made.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// Its id, chosen by the caller.
    pub id: ScheduleId,
    /// Whose jobs it makes.
    pub project: ProjectId,
    /// For lists.
    pub name: String,
    /// When, as an expression that was read.
    pub cron: String,
    /// Where the expression's clock hangs.
    pub time_zone: String,
    /// What becomes of missed firings.
    pub missed: Missed,
    /// The job it makes: [`crate::job::NewJob::template`].
    pub job: serde_json::Value,
    /// Does nothing until resumed.
    pub paused: bool,
    /// When it fires first.
    pub next_at: Option<DateTime<Utc>>,
    /// Makes a repeated request harmless.
    pub idempotency: Option<Idempotency>,
}

/// The answer to a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New(ScheduleId),
    /// The same request made this one before.
    Replayed(ScheduleId),
    /// The key was used for another request.
    KeyReused,
    /// No such project of this tenant.
    NoProject,
}

/// The time by the database's clock: what next times are computed from.
///
/// # Errors
/// The database does not answer.
pub async fn now(conn: &impl GenericClient) -> Result<DateTime<Utc>, DatabaseError> {
    Ok(conn.query_one(NOW, &[]).await.map_err(DatabaseError::query("read the clock"))?.get("now"))
}

/// Makes a schedule.
///
/// # Errors
/// The database does not answer: it may have been made.
pub async fn create(client: &mut Client, tenant: TenantId, new: &NewSchedule) -> Result<Created, DatabaseError> {
    let failed = || DatabaseError::query("create a schedule");
    let transaction = client.transaction().await.map_err(failed())?;
    if let Some(Idempotency { key, fingerprint }) = &new.idempotency {
        let fingerprint = fingerprint.as_slice();
        let fresh = transaction.execute(KEY, &[&tenant.uuid(), key, &fingerprint, &new.id.uuid()]).await;
        if fresh.map_err(failed())? == 0 {
            let row = transaction.query_one(KEYED, &[&tenant.uuid(), key, &fingerprint]).await.map_err(failed())?;
            let same: bool = row.get("same");
            return Ok(if same {
                Created::Replayed(row.get::<_, Uuid>("resource_id").into())
            } else {
                Created::KeyReused
            });
        }
    }
    let made = transaction
        .execute(
            CREATE,
            &[
                &new.id.uuid(),
                &tenant.uuid(),
                &new.project.uuid(),
                &new.name,
                &new.cron,
                &new.time_zone,
                &new.missed.as_str(),
                &new.job,
                &new.paused,
                &new.next_at,
            ],
        )
        .await
        .map_err(failed())?;
    if made == 0 {
        // Rolls back: the key stays free.
        return Ok(Created::NoProject);
    }
    transaction.commit().await.map_err(failed())?;
    Ok(Created::New(new.id))
}

/// Writes `row` over what it was read from. `false`: it changed meanwhile or is gone; read it again.
///
/// # Errors
/// The database does not answer: it may have been written.
pub async fn update(conn: &impl GenericClient, tenant: TenantId, row: &ScheduleRow) -> Result<bool, DatabaseError> {
    let changed = conn
        .execute(
            UPDATE,
            &[
                &tenant.uuid(),
                &row.id.uuid(),
                &row.updated_at,
                &row.name,
                &row.cron,
                &row.time_zone,
                &row.missed.as_str(),
                &row.job,
                &row.paused,
                &row.next_at,
            ],
        )
        .await
        .map_err(DatabaseError::query("change a schedule"))?;
    Ok(changed == 1)
}

/// Removes it; the jobs it made stay. `false`: there is none.
///
/// # Errors
/// The database does not answer: it may have been removed.
pub async fn delete(conn: &impl GenericClient, tenant: TenantId, id: ScheduleId) -> Result<bool, DatabaseError> {
    let removed =
        conn.execute(DELETE, &[&tenant.uuid(), &id.uuid()]).await.map_err(DatabaseError::query("delete a schedule"))?;
    Ok(removed == 1)
}
