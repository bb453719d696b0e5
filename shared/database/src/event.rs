//! The `event` table, reading side. Only rows whose transaction id is below every running one are read, in the order
//! `(xid, id)`: no event can appear later before one already read, on any replica.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{JobId, JobState, ProjectId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{DatabaseError, page::CursorError};

const NOW: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid";

// Sorted by the table's column: the bare name would be the text it is selected as, and "10" sorts before "9".
macro_rules! select {
    ($filter:literal) => {
        concat!(
            "SELECT id, xid::text AS xid, project_id, job_id, kind, data, at FROM event
              WHERE ",
            $filter,
            " AND (xid, id) > ($2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
              ORDER BY event.xid, event.id LIMIT $4"
        )
    };
}

const OF_JOB: &str = select!("job_id = $1");
const OF_TENANT: &str = select!("tenant_id = $1");
const SINCE: &str = "SELECT xid::text AS xid, id, job_id, project_id FROM event
  WHERE (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY event.xid, event.id LIMIT $3";
const STANDING: &str = "SELECT j.state::text AS state,
    EXISTS (SELECT 1 FROM event e WHERE e.job_id = j.id AND e.xid >= pg_snapshot_xmin(pg_current_snapshot())) AS unseen
  FROM job j WHERE j.id = $1";

/// A place in the one line of events: `<xid>-<id>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventCursor {
    /// Id of the transaction that wrote it.
    pub xid: u64,
    /// Number of the event.
    pub id: i64,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.xid, self.id)
    }
}

impl FromStr for EventCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (xid, id) = text.split_once('-').filter(|(xid, id)| number(xid) && number(id)).ok_or(CursorError)?;
        Ok(Self { xid: xid.parse().map_err(|_| CursorError)?, id: id.parse().map_err(|_| CursorError)? })
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Where it is in the line.
    pub cursor: EventCursor,
    /// Whose project.
    pub project_id: ProjectId,
    /// Which job.
    pub job_id: JobId,
    /// `status` or `progress`.
    pub kind: String,
    /// What happened.
    pub data: serde_json::Value,
    /// When.
    pub at: DateTime<Utc>,
}

impl EventRow {
    fn from_row(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            cursor: cursor(row)?,
            project_id: row.get::<_, Uuid>("project_id").into(),
            job_id: row.get::<_, Uuid>("job_id").into(),
            kind: row.get("kind"),
            data: row.get("data"),
            at: row.get("at"),
        })
    }
}

/// Where the line ends now: what is read after it happened later.
///
/// # Errors
/// The database does not answer.
pub async fn now(conn: &impl GenericClient) -> Result<EventCursor, DatabaseError> {
    let row = conn.query_one(NOW, &[]).await.map_err(DatabaseError::query("find the end of the events"))?;
    Ok(EventCursor { xid: xid(&row)?, id: 0 })
}

/// Events of a job after `after`, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn of_job(
    conn: &impl GenericClient,
    job: JobId,
    after: EventCursor,
    limit: i64,
) -> Result<Vec<EventRow>, DatabaseError> {
    read(conn, OF_JOB, job.uuid(), after, limit).await
}

/// Events of a tenant after `after`, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn of_tenant(
    conn: &impl GenericClient,
    tenant: TenantId,
    after: EventCursor,
    limit: i64,
) -> Result<Vec<EventRow>, DatabaseError> {
    read(conn, OF_TENANT, tenant.uuid(), after, limit).await
}

async fn read(
    conn: &impl GenericClient,
    sql: &str,
    of: Uuid,
    after: EventCursor,
    limit: i64,
) -> Result<Vec<EventRow>, DatabaseError> {
    let failed = || DatabaseError::query("read events");
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&of, &after.xid.to_string(), &after.id, &limit]).await.map_err(failed())?;
    rows.iter().map(EventRow::from_row).collect()
}

/// Places, jobs and projects of all tenants' events after `after`: enough to know whom to wake.
///
/// # Errors
/// The database does not answer.
pub async fn since(
    conn: &impl GenericClient,
    after: EventCursor,
    limit: i64,
) -> Result<Vec<(EventCursor, (JobId, ProjectId))>, DatabaseError> {
    let failed = || DatabaseError::query("read new events");
    let statement = conn.prepare_cached(SINCE).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&after.xid.to_string(), &after.id, &limit]).await.map_err(failed())?;
    let of = |row: &Row| (row.get::<_, Uuid>("job_id").into(), row.get::<_, Uuid>("project_id").into());
    rows.iter().map(|row| Ok((cursor(row)?, of(row)))).collect()
}

/// Where a job stands, and whether events of it are written but cannot be read yet.
///
/// # Errors
/// The database does not answer.
pub async fn standing(conn: &impl GenericClient, job: JobId) -> Result<Option<(JobState, bool)>, DatabaseError> {
    let failed = || DatabaseError::query("read a job's standing");
    let statement = conn.prepare_cached(STANDING).await.map_err(failed())?;
    let Some(row) = conn.query_opt(&statement, &[&job.uuid()]).await.map_err(failed())? else {
        return Ok(None);
    };
    let state = row.get::<_, &str>("state").parse().map_err(|error| bad(format!("{error}")))?;
    Ok(Some((state, row.get("unseen"))))
}

fn cursor(row: &Row) -> Result<EventCursor, DatabaseError> {
    Ok(EventCursor { xid: xid(row)?, id: row.get("id") })
}

fn xid(row: &Row) -> Result<u64, DatabaseError> {
    row.get::<_, &str>("xid").parse().map_err(|error| bad(format!("{error}")))
}

fn bad(reason: String) -> DatabaseError {
    DatabaseError::Row { operation: "read events", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = EventCursor { xid: 748, id: 12 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "-", "1", "1-", "-1", "a-1", "1--1", "+1-1", "1-1-1", "18446744073709551616-1"] {
            assert_eq!(text.parse::<EventCursor>(), Err(CursorError), "{text}");
        }
    }
}
