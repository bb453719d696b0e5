//! The `pool_count` table: what the leader counts in each pool, and what is shown of pools.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use crate::DatabaseError;

/// Asynchronous commit: what gets lost is counted again in seconds.
const COUNT: &str = "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
  SELECT c.* FROM relaxed, dd_count_pools_v1() c";
/// Workers and their attempts are read as they are; the jobs as they were last counted, since there may be very many.
const LIST: &str = "WITH busy AS MATERIALIZED (SELECT a.worker_id, count(*) AS jobs FROM attempt a WHERE a.state = 'running' GROUP BY 1),
  there AS MATERIALIZED (
    SELECT w.pool, w.slots, w.agents, w.isolation::text AS isolation, coalesce(b.jobs, 0) AS busy,
           CASE WHEN w.lease_until <= clock_timestamp() THEN 'lost' WHEN NOT w.draining THEN 'live'
                WHEN b.jobs > 0 THEN 'draining' ELSE 'drained' END AS state
      FROM worker w LEFT JOIN busy b ON b.worker_id = w.id WHERE w.ended_at IS NULL),
  fleet AS (
    SELECT t.pool, count(*) FILTER (WHERE t.state = 'live') AS live, count(*) FILTER (WHERE t.state = 'draining') AS draining,
           count(*) FILTER (WHERE t.state = 'drained') AS drained, count(*) FILTER (WHERE t.state = 'lost') AS lost,
           coalesce(sum(t.slots) FILTER (WHERE t.state = 'live'), 0)::bigint AS total,
           coalesce(sum(least(t.busy, t.slots)) FILTER (WHERE t.state = 'live'), 0)::bigint AS busy,
           coalesce(array_agg(DISTINCT t.isolation) FILTER (WHERE t.state = 'live'), '{}') AS isolation
      FROM there t GROUP BY t.pool),
  offered AS (SELECT t.pool, array_agg(DISTINCT u.agent) AS agents FROM there t CROSS JOIN unnest(t.agents) AS u (agent)
    WHERE t.state = 'live' GROUP BY t.pool)
  SELECT pool AS name, coalesce(f.live, 0) AS live, coalesce(f.draining, 0) AS draining, coalesce(f.drained, 0) AS drained,
         coalesce(f.lost, 0) AS lost, coalesce(f.total, 0) AS total, coalesce(f.busy, 0) AS busy, coalesce(f.isolation, '{}') AS isolation,
         coalesce(o.agents, '{}') AS agents, c.*
    FROM pool_count c FULL JOIN fleet f USING (pool) LEFT JOIN offered o USING (pool)
   WHERE pool <> '@workspace' AND ($1::text IS NULL OR pool = $1) ORDER BY name LIMIT $2";

/// What a pool has, as counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCount {
    /// The pool.
    pub pool: String,
    /// Slots of its workers that take jobs.
    pub slots: i64,
    /// Jobs whose time, dependencies or batch have not come.
    pub scheduled: i64,
    /// Jobs behind others of their project.
    pub pending: i64,
    /// Jobs that may be admitted.
    pub queued: i64,
    /// Jobs that may be after a pause.
    pub backing_off: i64,
    /// Jobs whose ticket is out.
    pub dispatched: i64,
    /// Jobs on workers.
    pub running: i64,
    /// Since when that job waits that has waited for a slot longest.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When all this was so.
    pub counted_at: DateTime<Utc>,
}

impl PoolCount {
    /// Slots that would serve all jobs that can run at the moment.
    #[must_use]
    pub const fn demand(&self) -> i64 {
        self.queued + self.dispatched + self.running
    }

    /// Seconds that the job had waited that has waited for a slot longest, when it was counted; 0 where none waits.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer milliseconds")]
    pub fn oldest_wait_s(&self) -> f64 {
        let waited = self.oldest_at.map_or(0, |oldest| (self.counted_at - oldest).num_milliseconds());
        waited.max(0) as f64 / 1000.0
    }
}

/// A pool.
#[derive(Clone, Debug)]
pub struct PoolRow {
    /// Its name.
    pub name: String,
    /// Workers that take jobs.
    pub live: i64,
    /// Workers that take none and run some.
    pub draining: i64,
    /// Workers that take none and run none.
    pub drained: i64,
    /// Workers whose lease ran out.
    pub lost: i64,
    /// Slots of the live ones.
    pub slots: i64,
    /// Those in use.
    pub busy: i64,
    /// Agents that a live worker has, sorted.
    pub agents: Vec<String>,
    /// Levels of isolation that a live worker gives, sorted by name.
    pub isolation: Vec<String>,
    /// Its jobs; `None` until the leader has first counted them.
    pub jobs: Option<PoolCount>,
}

/// Counts all pools that have something, or had it within a month; for the leader.
///
/// # Errors
/// The database does not answer.
pub async fn count(conn: &impl GenericClient) -> Result<Vec<PoolCount>, DatabaseError> {
    let rows = conn.query(COUNT, &[]).await.map_err(DatabaseError::query("count pools"))?;
    Ok(rows.iter().map(counted).collect())
}

/// Pools by name, or the one with this name, at most `limit`. Costs the same however many jobs wait.
///
/// # Errors
/// The database does not answer.
pub async fn list(conn: &impl GenericClient, name: Option<&str>, limit: i64) -> Result<Vec<PoolRow>, DatabaseError> {
    let failed = || DatabaseError::query("list pools");
    let statement = conn.prepare_cached(LIST).await.map_err(failed())?;
    let rows = conn.query(&statement, &[&name, &limit]).await.map_err(failed())?;
    Ok(rows
        .iter()
        .map(|row| PoolRow {
            name: row.get("name"),
            live: row.get("live"),
            draining: row.get("draining"),
            drained: row.get("drained"),
            lost: row.get("lost"),
            slots: row.get("total"),
            busy: row.get("busy"),
            agents: row.get("agents"),
            isolation: row.get("isolation"),
            jobs: row.get::<_, Option<String>>("pool").map(|_| counted(row)),
        })
        .collect())
}

fn counted(row: &Row) -> PoolCount {
    PoolCount {
        pool: row.get("pool"),
        slots: row.get("slots"),
        scheduled: row.get("scheduled"),
        pending: row.get("pending"),
        queued: row.get("queued"),
        backing_off: row.get("backing_off"),
        dispatched: row.get("dispatched"),
        running: row.get("running"),
        oldest_at: row.get("oldest_at"),
        counted_at: row.get("counted_at"),
    }
}
