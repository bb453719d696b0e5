//! The `worker` table, reading side: who is there, and which agents were ever offered.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::WorkerId;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::DatabaseError;

const LIST: &str =
    "SELECT w.id, w.instance, w.pool, w.slots::int AS slots, w.agents, w.isolation::text AS isolation, w.rung, w.refused_rungs, w.build, w.draining, w.drain_asked_at,
    w.lease_until, w.lease_until > clock_timestamp() AS leased, w.started_at,
    (SELECT count(*) FROM attempt a WHERE a.worker_id = w.id AND a.state = 'running') AS busy,
    (SELECT count(*) FROM held_tree h WHERE h.worker_id = w.id) AS held_trees
  FROM worker w
 WHERE w.ended_at IS NULL AND ($1::text IS NULL OR w.pool = $1) AND (w.id = $3 OR $3::uuid IS NULL AND w.pool <> '@workspace')
  ORDER BY w.started_at, w.id LIMIT $2";
const AGENTS: &str = "SELECT DISTINCT u.agent FROM worker w CROSS JOIN unnest(w.agents) AS u (agent)
  WHERE u.agent NOT LIKE 'session/%' AND w.pool <> '@workspace' ORDER BY 1";
const OF_DAEMON: &str =
    "SELECT EXISTS (SELECT FROM workspace k JOIN worker w ON w.id = k.worker_id WHERE $1 = ANY (w.agents)) AS offered";

/// A worker that has not ended.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// The process.
    pub id: WorkerId,
    /// Host and scratch directory.
    pub instance: String,
    /// The pool whose tickets it takes.
    pub pool: String,
    /// Jobs at once.
    pub slots: i32,
    /// Jobs now.
    pub busy: i64,
    /// Agents it can run, and session servers (see [`crate::session::split`]).
    pub agents: Vec<String>,
    /// The isolation it gives.
    pub isolation: String,
    /// The materialize rung it uses.
    pub rung: String,
    /// Why not a better one: an object of reasons by rung.
    pub refused_rungs: serde_json::Value,
    /// Trees of versions on its node, from which jobs start at once.
    pub held_trees: i64,
    /// Its build.
    pub build: String,
    /// Whether it takes no more jobs.
    pub draining: bool,
    /// Since when it is asked to take none, and to stay.
    pub drain_asked_at: Option<DateTime<Utc>>,
    /// Whether its lease runs.
    pub leased: bool,
    /// Until when its lease runs.
    pub lease_until: DateTime<Utc>,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// Workers that have not ended, of one pool or of all, oldest first, at most `limit`.
///
/// # Errors
/// The database does not answer.
pub async fn list(conn: &impl GenericClient, pool: Option<&str>, limit: i64) -> Result<Vec<WorkerRow>, DatabaseError> {
    select(conn, pool, limit, None).await
}

/// A worker that has not ended.
///
/// # Errors
/// The database does not answer.
pub async fn find(conn: &impl GenericClient, worker: WorkerId) -> Result<Option<WorkerRow>, DatabaseError> {
    Ok(select(conn, None, 1, Some(worker)).await?.pop())
}

async fn select(
    conn: &impl GenericClient,
    pool: Option<&str>,
    limit: i64,
    id: Option<WorkerId>,
) -> Result<Vec<WorkerRow>, DatabaseError> {
    let failed = || DatabaseError::query("list workers");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&pool, &limit, &id.map(WorkerId::uuid)]).await.map_err(failed())?;
    Ok(rows.iter().map(row).collect())
}

fn row(row: &Row) -> WorkerRow {
    WorkerRow {
        id: row.get::<_, Uuid>("id").into(),
        instance: row.get("instance"),
        pool: row.get("pool"),
        slots: row.get("slots"),
        busy: row.get("busy"),
        agents: row.get("agents"),
        isolation: row.get("isolation"),
        rung: row.get("rung"),
        refused_rungs: row.get("refused_rungs"),
        held_trees: row.get("held_trees"),
        build: row.get("build"),
        draining: row.get("draining"),
        drain_asked_at: row.get("drain_asked_at"),
        leased: row.get("leased"),
        lease_until: row.get("lease_until"),
        started_at: row.get("started_at"),
    }
}

/// Whether a daemon has the agent. What daemons call theirs is nobody else's business, so they are in no list.
///
/// # Errors
/// The database does not answer.
pub async fn is_a_daemons(conn: &impl GenericClient, agent: &str) -> Result<bool, DatabaseError> {
    let failed = || DatabaseError::query("look for an agent of daemons");
    let statement = conn.prepare_cached(OF_DAEMON).await.map_err(failed())?;
    Ok(conn.query_one(&statement, &[&agent]).await.map_err(failed())?.get("offered"))
}

/// Every agent any worker of the fleet has ever offered, sorted.
///
/// # Errors
/// The database does not answer.
pub async fn agents(conn: &impl GenericClient) -> Result<Vec<String>, DatabaseError> {
    let failed = || DatabaseError::query("list agents");
    let statement = conn.prepare_cached(AGENTS).await.map_err(failed())?;
    let rows = conn.query(&statement, &[]).await.map_err(failed())?;
    Ok(rows.iter().map(|row| row.get("agent")).collect())
}
