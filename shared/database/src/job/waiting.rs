//! Why a job waits: the one rule that holds it, with the facts. Each read costs the same whatever the backlog: counts stop at
//! `MOST`, and every plan is a probe of an index or a range of one that ends there.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::JobId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    held::{Held, held},
    read::detail,
};
use crate::DatabaseError;

const OPERATION: &str = "find why a job waits";
/// Counting stops here. Each range is asked for in its index's order, or the planner would rather read the whole table.
pub(super) const MOST: i64 = 10_000;

const JOB: &str = "SELECT j.state::text AS state, j.on_hold, j.unmet > 0 AS dependent, j.run_at > now() AS early, j.run_at, j.backing_off,
    extract(epoch FROM j.run_at - now())::float8 AS due_in_s, j.dispatched_at, j.redispatches, j.read_only,
    a.number AS attempt, a.state::text AS outcome, a.detail AS attempt_detail
  FROM job j LEFT JOIN LATERAL (SELECT number, state, detail FROM attempt WHERE job_id = j.id ORDER BY number DESC LIMIT 1) a ON true
 WHERE j.id = $1";

const UNMET: &str = concat!(
    "SELECT j.id, ",
    detail!(),
    " AS detail, count(*) OVER () AS many FROM job w CROSS JOIN LATERAL unnest(w.depends_on) WITH ORDINALITY AS u (id, n)
       JOIN job j ON j.id = u.id WHERE w.id = $1 AND j.state <> 'succeeded' ORDER BY u.n LIMIT 5"
);

const HOLDERS: &str = concat!(
    "SELECT j.id, ",
    detail!(),
    " AS detail FROM job w JOIN job j ON j.project_id = w.project_id WHERE w.id = $1 AND j.state IN ('queued', 'dispatched', 'running')
       ORDER BY j.read_only, j.created_at, j.id LIMIT 3"
);
/// Those of its kind in its project that go before it: of higher priority, then earlier ones of its own.
const AHEAD_IN_LANE: &str = "WITH w AS MATERIALIZED (SELECT * FROM job WHERE id = $1)
  SELECT count(*) AS ahead FROM (
    SELECT 1 FROM w CROSS JOIN LATERAL (
      (SELECT 1 FROM job j WHERE j.project_id = w.project_id AND j.read_only = w.read_only AND j.state = 'pending'
          AND j.priority > w.priority ORDER BY j.priority DESC, j.created_at, j.id LIMIT $2)
      UNION ALL
      (SELECT 1 FROM job j WHERE j.project_id = w.project_id AND j.read_only = w.read_only AND j.state = 'pending'
          AND j.priority = w.priority AND (j.created_at, j.id) < (w.created_at, w.id) ORDER BY j.created_at, j.id LIMIT $2)) a LIMIT $2) b";

/// The live workers of its pool, counted down demand by demand; slots of theirs in use; its tenant's limit; who leads.
const FLEET: &str = "SELECT j.pool, j.tenant_id, j.agent, j.job_type = 'command' AS any_agent, j.min_isolation::text AS min_isolation, j.requires,
    k.*, t.weight, t.max_running,
    (SELECT count(*) FROM job b WHERE b.pool = j.pool AND b.state IN ('dispatched', 'running'))
    - (SELECT count(*) FROM worker d JOIN attempt a ON a.worker_id = d.id AND a.state = 'running'
        WHERE d.pool = j.pool AND d.ended_at IS NULL AND d.draining) AS busy,
    (SELECT count(*) FROM job b WHERE b.pool = j.pool AND b.tenant_id = j.tenant_id AND b.state IN ('dispatched', 'running')) AS used,
    CASE WHEN t.max_running IS NOT NULL THEN
      (SELECT count(*) FROM job b WHERE b.tenant_id = j.tenant_id AND b.state IN ('dispatched', 'running')) ELSE 0 END AS everywhere,
    EXISTS (SELECT 1 FROM leader l WHERE l.name = 'fleet' AND l.expires_at > now()) AS led
  FROM job j JOIN tenant t ON t.id = j.tenant_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS workers, coalesce(sum(w.slots), 0) AS slots,
           count(*) FILTER (WHERE w.offers) AS with_agent,
           count(*) FILTER (WHERE w.offers AND w.isolation >= j.min_isolation) AS with_isolation,
           count(*) FILTER (WHERE w.offers AND w.isolation >= j.min_isolation AND w.labels @> j.requires) AS suited
      FROM (SELECT x.*, j.job_type = 'command' OR j.agent = ANY (x.agents) AS offers FROM worker x
             WHERE x.pool = j.pool AND x.ended_at IS NULL AND NOT x.draining AND x.lease_until > now()) w) k
 WHERE j.id = $1";

/// Its tenant's ready jobs in its pool that go before it. A skip from demand to demand, then two ranges of each.
const AHEAD_IN_POOL: &str = "WITH RECURSIVE w AS MATERIALIZED (SELECT * FROM job WHERE id = $1),
  demands AS (
    (SELECT w.pool, w.tenant_id, x.demand, 1 AS n FROM w CROSS JOIN LATERAL (
      SELECT r.demand FROM job r WHERE r.pool = w.pool AND r.tenant_id = w.tenant_id AND r.state = 'queued' AND NOT r.backing_off
       ORDER BY r.demand LIMIT 1) x)
    UNION ALL
    SELECT d.pool, d.tenant_id, x.demand, d.n + 1 FROM demands d CROSS JOIN LATERAL (
      SELECT r.demand FROM job r WHERE r.pool = d.pool AND r.tenant_id = d.tenant_id AND r.state = 'queued' AND NOT r.backing_off
         AND r.demand > d.demand ORDER BY r.demand LIMIT 1) x WHERE d.n < 100)
  SELECT count(*) AS ahead FROM (
    SELECT 1 FROM demands d CROSS JOIN w CROSS JOIN LATERAL (
      (SELECT 1 FROM job r WHERE r.pool = w.pool AND r.tenant_id = w.tenant_id AND r.demand = d.demand AND r.state = 'queued'
          AND NOT r.backing_off AND r.priority > w.priority ORDER BY r.priority DESC, r.queued_at, r.id LIMIT $2)
      UNION ALL
      (SELECT 1 FROM job r WHERE r.pool = w.pool AND r.tenant_id = w.tenant_id AND r.demand = d.demand AND r.state = 'queued'
          AND NOT r.backing_off AND r.priority = w.priority AND (r.queued_at, r.id) < (w.queued_at, w.id)
        ORDER BY r.queued_at, r.id LIMIT $2)) a LIMIT $2) b";

/// Weights of the tenants that want or have slots of the pool.
const CONTENDERS: &str = "WITH RECURSIVE ready AS (
    (SELECT r.tenant_id, 1 AS n FROM job r WHERE r.pool = $1 AND r.state = 'queued' AND NOT r.backing_off
      ORDER BY r.tenant_id, r.demand LIMIT 1)
    UNION ALL
    SELECT x.tenant_id, d.n + 1 FROM ready d CROSS JOIN LATERAL (
      SELECT r.tenant_id FROM job r WHERE r.pool = $1 AND r.state = 'queued' AND NOT r.backing_off AND r.tenant_id > d.tenant_id
       ORDER BY r.tenant_id, r.demand LIMIT 1) x WHERE d.n < 1000)
  SELECT coalesce(sum(t.weight), 0)::bigint AS weights FROM tenant t
   WHERE t.id IN (SELECT tenant_id FROM ready UNION SELECT tenant_id FROM job WHERE pool = $1 AND state IN ('dispatched', 'running'))";

/// The newest attempts of the fleet (their ids are ordered by time), of which those of this tenant in this pool count.
const RATE: &str = "SELECT count(*) FILTER (WHERE w.pool = $1 AND j.tenant_id = $2) AS started,
    extract(epoch FROM now() - min(a.started_at))::float8 AS seconds
  FROM (SELECT job_id, worker_id, started_at FROM attempt ORDER BY id DESC LIMIT 500) a
  JOIN worker w ON w.id = a.worker_id JOIN job j ON j.id = a.job_id
 WHERE a.started_at > now() - interval '10 min'";
/// Fewer starts than this say nothing of the next ones.
const FEWEST: i64 = 3;

/// The rule that holds a job, with what is known of it.
#[derive(Clone, Debug)]
pub enum Waiting {
    /// Its time has not come, or has just.
    RunAt(DateTime<Utc>, f64),
    /// Its batch has not let it go.
    Held(Held),
    /// Jobs it depends on have not completed.
    Dependencies(Unmet),
    /// Its project has no place for it.
    Lane(Lane),
    /// It failed, or its ticket came back, and it is to pause.
    BackOff(BackOff),
    /// It may be admitted: the fleet decides.
    Ready(Box<Ready>),
    /// Its ticket is out.
    Admitted(Admission),
}

/// Dependencies that have not completed.
#[derive(Clone, Debug)]
pub struct Unmet {
    /// The first of them, and where each stands.
    pub jobs: Vec<(JobId, String)>,
    /// How many there are.
    pub many: i64,
}

/// How many go before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1: it is the next. At most 10,000.
    pub position: i64,
    /// Counting stopped there.
    pub more: bool,
}

impl Place {
    pub(super) fn after(ahead: i64) -> Self {
        Self { position: (ahead + 1).min(MOST), more: ahead >= MOST }
    }
}

/// The places of its project.
#[derive(Clone, Debug)]
pub struct Lane {
    /// It waits for a place beside the writer, not for the writer's.
    pub read_only: bool,
    /// The jobs that have the places, the writer first, and where each stands.
    pub holders: Vec<(JobId, String)>,
    /// Among those of its kind that wait too.
    pub place: Place,
}

/// A pause.
#[derive(Clone, Debug)]
pub struct BackOff {
    /// Its end.
    pub until: DateTime<Utc>,
    /// Seconds until then.
    pub due_in_s: f64,
    /// The attempt that failed: number, outcome, detail. `None` where a ticket came back unused.
    pub after: Option<(i16, String, Option<String>)>,
}

/// A ticket that is out.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Since when, the newest one.
    pub since: DateTime<Utc>,
    /// How often it was sent again.
    pub again: i16,
}

/// What the fleet has for a job that may be admitted.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its pool.
    pub pool: String,
    /// Its agent; `None` for a command.
    pub agent: Option<String>,
    /// The least isolation it accepts.
    pub min_isolation: String,
    /// Labels it requires.
    pub requires: serde_json::Value,
    /// Live workers in its pool.
    pub workers: i64,
    /// Those with its agent.
    pub with_agent: i64,
    /// Those that have its isolation too.
    pub with_isolation: i64,
    /// Those that have its labels too.
    pub suited: i64,
    /// Slots of all of them.
    pub slots: i64,
    /// Slots promised or in use.
    pub busy: i64,
    /// Those by its tenant.
    pub used: i64,
    /// Those by its tenant in all pools; 0 where it has no limit.
    pub everywhere: i64,
    /// Its tenant's limit.
    pub max_running: Option<i32>,
    /// Its tenant's weight.
    pub weight: i32,
    /// The weights of all tenants that want slots of this pool or have some.
    pub weights: i64,
    /// Whether a dispatcher leads.
    pub led: bool,
    /// Among its tenant's jobs that may be admitted to this pool.
    pub place: Place,
    /// Jobs of its tenant started in its pool, a second, of late.
    pub rate: Option<f64>,
}

/// Why the job waits; `None` for one that does not.
///
/// # Errors
/// The database does not answer.
pub async fn waiting(conn: &impl GenericClient, id: JobId) -> Result<Option<Waiting>, DatabaseError> {
    let Some(row) = rows(conn, JOB, id).await?.pop() else {
        return Ok(None);
    };
    let early: bool = row.get("early");
    Ok(Some(match row.get::<_, &str>("state") {
        "scheduled" if row.get("on_hold") => match held(conn, id).await? {
            Some(held) => Waiting::Held(held),
            None => return Ok(None),
        },
        "scheduled" if row.get("dependent") => Waiting::Dependencies(unmet(conn, id).await?),
        "scheduled" => Waiting::RunAt(row.get("run_at"), row.get("due_in_s")),
        "pending" => Waiting::Lane(lane(conn, id, row.get("read_only")).await?),
        "queued" if early && row.get("backing_off") => Waiting::BackOff(back_off(&row)),
        "queued" => match ready(conn, id).await? {
            Some(ready) => Waiting::Ready(Box::new(ready)),
            None => return Ok(None),
        },
        "dispatched" => {
            let since: Option<DateTime<Utc>> = row.get("dispatched_at");
            let again = row.get("redispatches");
            Waiting::Admitted(Admission { since: since.unwrap_or_else(|| row.get("run_at")), again })
        }
        _ => return Ok(None),
    }))
}

async fn unmet(conn: &impl GenericClient, id: JobId) -> Result<Unmet, DatabaseError> {
    let rows = rows(conn, UNMET, id).await?;
    Ok(Unmet { many: rows.first().map_or(0, |row| row.get("many")), jobs: named(&rows) })
}

async fn lane(conn: &impl GenericClient, id: JobId, read_only: bool) -> Result<Lane, DatabaseError> {
    let holders = named(&rows(conn, HOLDERS, id).await?);
    Ok(Lane { read_only, holders, place: place(conn, AHEAD_IN_LANE, id).await? })
}

fn back_off(row: &Row) -> BackOff {
    let attempt: Option<i16> = row.get("attempt");
    let after = attempt.map(|number| (number, row.get("outcome"), row.get("attempt_detail")));
    BackOff { until: row.get("run_at"), due_in_s: row.get("due_in_s"), after }
}

async fn ready(conn: &impl GenericClient, id: JobId) -> Result<Option<Ready>, DatabaseError> {
    let Some(row) = rows(conn, FLEET, id).await?.pop() else {
        return Ok(None);
    };
    let (pool, tenant): (String, Uuid) = (row.get("pool"), row.get("tenant_id"));
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(CONTENDERS).await.map_err(failed())?;
    let weights = conn.query_one(&statement, &[&pool]).await.map_err(failed())?.get("weights");
    let statement = conn.prepare_cached(RATE).await.map_err(failed())?;
    let recent = conn.query_one(&statement, &[&pool, &tenant]).await.map_err(failed())?;
    Ok(Some(Ready {
        agent: if row.get("any_agent") { None } else { Some(row.get("agent")) },
        min_isolation: row.get("min_isolation"),
        requires: row.get("requires"),
        workers: row.get("workers"),
        with_agent: row.get("with_agent"),
        with_isolation: row.get("with_isolation"),
        suited: row.get("suited"),
        slots: row.get("slots"),
        busy: row.get("busy"),
        used: row.get("used"),
        everywhere: row.get("everywhere"),
        max_running: row.get("max_running"),
        weight: row.get("weight"),
        weights,
        led: row.get("led"),
        place: place(conn, AHEAD_IN_POOL, id).await?,
        rate: rate(recent.get("started"), recent.get("seconds")),
        pool,
    }))
}

#[expect(clippy::cast_precision_loss, reason = "at most 500")]
fn rate(started: i64, seconds: Option<f64>) -> Option<f64> {
    seconds.filter(|_| started >= FEWEST).map(|seconds| started as f64 / seconds.max(0.001))
}

async fn place(conn: &impl GenericClient, sql: &str, id: JobId) -> Result<Place, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    let ahead: i64 = conn.query_one(&statement, &[&id.uuid(), &MOST]).await.map_err(failed())?.get("ahead");
    Ok(Place::after(ahead))
}

fn named(rows: &[Row]) -> Vec<(JobId, String)> {
    rows.iter().map(|row| (row.get::<_, Uuid>("id").into(), row.get("detail"))).collect()
}

async fn rows(conn: &impl GenericClient, sql: &str, id: JobId) -> Result<Vec<Row>, DatabaseError> {
    let failed = || DatabaseError::query(OPERATION);
    let statement = conn.prepare_cached(sql).await.map_err(failed())?;
    conn.query(&statement, &[&id.uuid()]).await.map_err(failed())
}
