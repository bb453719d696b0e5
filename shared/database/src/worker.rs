//! The `worker` table: one row a worker process, with its lease on the database's clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, Digest, Isolation, Phase, TenantId, WorkerId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{DatabaseError, again};

const START: &str =
    "SELECT dd_worker_start_v4($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, make_interval(secs => $12))";
const RENEW: &str = "SELECT live, owned, cancelled, released, coalesce(drained, false) AS drained
  FROM dd_renew_v4($1, make_interval(secs => $2), $3, $4)";
/// Asynchronous commit: what gets lost costs a fetch.
const ADVERTISE: &str = "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
  SELECT live FROM relaxed, dd_advertise_v1($1, $2, $3, $4, $5) AS live";
const FORGET_HELD: &str = "SELECT dd_forget_held_v1($1) AS forgotten";
const DRAIN: &str = "SELECT dd_worker_drain_v2($1)";
const ASK_TO_DRAIN: &str = "SELECT dd_drain_worker_v1($1, $2) AS answer";
const END: &str = "SELECT dd_worker_end_v1($1)";
const END_EXPIRED: &str = "SELECT dd_end_expired_workers_v1(make_interval(secs => $1)) AS ended";
const LEASES: &str = "SELECT count(*) AS workers,
    count(*) FILTER (WHERE lease_until <= clock_timestamp()) AS expired
  FROM worker WHERE ended_at IS NULL AND pool <> '@workspace'";
const SERVER_STARTED: &str = "SELECT pg_postmaster_start_time()";

/// How often a lease is renewed while it would last.
pub const RENEWALS: u32 = 6;

/// What a worker says of itself at start.
#[derive(Clone, Debug)]
pub struct NewWorker {
    /// This process.
    pub id: WorkerId,
    /// Host and scratch directory: a successor with the same name ends this one.
    pub instance: String,
    /// The pool whose queue it consumes.
    pub pool: String,
    /// Jobs at once.
    pub slots: i32,
    /// Of these, those that sessions may take.
    pub session_slots: i32,
    /// Agents it can run.
    pub agents: Vec<String>,
    /// What else jobs may ask for: an object of strings.
    pub labels: serde_json::Value,
    /// The isolation it gives.
    pub isolation: Isolation,
    /// The materialize rung it uses.
    pub rung: String,
    /// Why not a better one: an object of reasons by rung.
    pub refused_rungs: serde_json::Value,
    /// Its build.
    pub build: String,
}

/// What a renewal answers.
#[derive(Clone, Debug, Default)]
pub struct Renewed {
    /// Whether the worker still has its row; otherwise it owns nothing.
    pub live: bool,
    /// The attempts it owns, and whether each is to be cancelled.
    pub owned: Vec<(AttemptId, bool)>,
    /// Of these, those whose session is to be released.
    pub released: Vec<AttemptId>,
    /// Whether it is asked to take no more jobs, and to stay.
    pub drained: bool,
}

/// The answer to who asks a worker to drain, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainAsked {
    /// It is as asked: by this, or before.
    Done,
    /// It stops, and takes no more jobs whatever is asked.
    Stopping,
    /// None, or it is over.
    NoWorker,
}

/// Records a worker; its predecessor on the same instance is over.
///
/// # Errors
/// The database does not answer.
pub async fn start(conn: &impl GenericClient, worker: &NewWorker, ttl: Duration) -> Result<(), DatabaseError> {
    let parameters: [&(dyn ToSql + Sync); 12] = [
        &worker.id.uuid(),
        &worker.instance,
        &worker.pool,
        &worker.slots,
        &worker.session_slots,
        &worker.agents,
        &worker.labels,
        &worker.isolation.as_str(),
        &worker.rung,
        &worker.refused_rungs,
        &worker.build,
        &ttl.as_secs_f64(),
    ];
    again::row(conn, "register the worker", START, &parameters).await?;
    Ok(())
}

/// Renews the lease, tells the phases that running attempts reached since the last time, and learns what is still owned.
///
/// # Errors
/// The database does not answer: the lease was perhaps not renewed.
pub async fn renew(
    conn: &impl GenericClient,
    worker: WorkerId,
    ttl: Duration,
    news: &[(AttemptId, Phase)],
) -> Result<Renewed, DatabaseError> {
    let ids: Vec<Uuid> = news.iter().map(|(id, _)| id.uuid()).collect();
    let phases: Vec<&str> = news.iter().map(|(_, phase)| phase.as_str()).collect();
    let parameters: [&(dyn ToSql + Sync); 4] = [&worker.uuid(), &ttl.as_secs_f64(), &ids, &phases];
    let row = again::row(conn, "renew the lease", RENEW, &parameters).await?;
    let (owned, cancelled): (Vec<Uuid>, Vec<Uuid>) = (row.get("owned"), row.get("cancelled"));
    let owned = owned.into_iter().map(|id| (id.into(), cancelled.contains(&id))).collect();
    let released = row.get::<_, Vec<Uuid>>("released").into_iter().map(AttemptId::from).collect();
    Ok(Renewed { live: row.get("live"), owned, released, drained: row.get("drained") })
}

/// Tells which trees came to the worker's node and which went; answers whether the worker still has its row.
///
/// # Errors
/// The database does not answer: what was told may have been taken.
pub async fn advertise(
    conn: &impl GenericClient,
    worker: WorkerId,
    came: &[(TenantId, Digest)],
    went: &[(TenantId, Digest)],
) -> Result<bool, DatabaseError> {
    let split = |trees: &[(TenantId, Digest)]| -> (Vec<Uuid>, Vec<Vec<u8>>) {
        trees.iter().map(|(tenant, tree)| (tenant.uuid(), tree.as_bytes().to_vec())).unzip()
    };
    let ((tenants, trees), (gone_tenants, gone_trees)) = (split(came), split(went));
    let parameters: [&(dyn ToSql + Sync); 5] = [&worker.uuid(), &tenants, &trees, &gone_tenants, &gone_trees];
    Ok(again::row(conn, "tell which trees are held", ADVERTISE, &parameters).await?.get("live"))
}

/// Forgets what workers held that are over, at most `most` rows; answers how many went.
///
/// # Errors
/// The database does not answer.
pub async fn forget_held(conn: &impl GenericClient, most: i32) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "forget what ended workers held", FORGET_HELD, &[&most]).await?.get("forgotten"))
}

/// This worker stops: no claim succeeds for it any more.
///
/// # Errors
/// The database does not answer.
pub async fn drain(conn: &impl GenericClient, worker: WorkerId) -> Result<(), DatabaseError> {
    again::row(conn, "drain the worker", DRAIN, &[&worker.uuid()]).await?;
    Ok(())
}

/// Asks a worker to take no more jobs, or to take jobs again. What it runs goes on; it hears of it with its next renewal. Repeating the
/// call changes nothing.
///
/// # Errors
/// The database does not answer: it may have been asked.
pub async fn ask_to_drain(
    conn: &impl GenericClient,
    worker: WorkerId,
    wanted: bool,
) -> Result<DrainAsked, DatabaseError> {
    const OPERATION: &str = "ask a worker to drain";
    let row = again::row(conn, OPERATION, ASK_TO_DRAIN, &[&worker.uuid(), &wanted]).await?;
    match row.get::<_, &str>("answer") {
        "done" => Ok(DrainAsked::Done),
        "stopping" => Ok(DrainAsked::Stopping),
        "no_worker" => Ok(DrainAsked::NoWorker),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}

/// The worker is over.
///
/// # Errors
/// The database does not answer; the lease then runs out by itself.
pub async fn end(conn: &impl GenericClient, worker: WorkerId) -> Result<(), DatabaseError> {
    again::row(conn, "end the worker", END, &[&worker.uuid()]).await?;
    Ok(())
}

/// Ends workers whose lease ran out `grace` ago; returns how many.
///
/// # Errors
/// The database does not answer.
pub async fn end_expired(conn: &impl GenericClient, grace: Duration) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "end expired workers", END_EXPIRED, &[&grace.as_secs_f64()]).await?.get("ended"))
}

/// How many workers there are, and how many of them let their lease run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// Workers that were not declared over.
    pub workers: i64,
    /// Those whose lease ran out, within their grace or beyond it.
    pub expired: i64,
}

/// Counts the leases.
///
/// # Errors
/// The database does not answer.
pub async fn leases(conn: &impl GenericClient) -> Result<Leases, DatabaseError> {
    let failed = || DatabaseError::query("count leases");
    let statement = conn.prepare_cached(LEASES).await.map_err(failed())?;
    let row = conn.query_one(&statement, &[]).await.map_err(failed())?;
    Ok(Leases { workers: row.get("workers"), expired: row.get("expired") })
}

/// When the server that answers was started, by its own clock. Good for telling one server from another, or from itself before
/// a restart: after a failover, a standby that started long ago answers, and its clock may be another.
///
/// # Errors
/// The database does not answer.
pub async fn server_started(conn: &impl GenericClient) -> Result<DateTime<Utc>, DatabaseError> {
    let failed = || DatabaseError::query("read the database's start time");
    let statement = conn.prepare_cached(SERVER_STARTED).await.map_err(failed())?;
    Ok(conn.query_one(&statement, &[]).await.map_err(failed())?.get(0))
}
