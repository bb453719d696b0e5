//! `GET /pools`: what each pool has and what waits for it, for operators and for whatever scales pools.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use drydock_database::{
    pool_count::{self, PoolCount, PoolRow},
    session,
};
use serde::Serialize;

use crate::{error::ApiError, extract::Query, state::Shared, validate::rules};

/// Pools listed at most.
const MAX: i64 = 1000;

/// The pools that have workers or jobs, or had some within a month.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PoolList {
    items: Vec<PoolView>,
}

/// A pool.
#[derive(Serialize, utoipa::ToSchema)]
struct PoolView {
    name: String,
    workers: PoolWorkers,
    slots: PoolSlots,
    /// Agents that a live worker has.
    agents: Vec<String>,
    /// Servers of sessions that a live worker has.
    sessions: Vec<String>,
    /// Levels of isolation that a live worker gives.
    isolation: Vec<String>,
    /// Absent until the dispatcher has first counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<PoolJobs>,
}

/// Workers of a pool, by state.
#[derive(Serialize, utoipa::ToSchema)]
struct PoolWorkers {
    live: i64,
    draining: i64,
    drained: i64,
    lost: i64,
}

/// Slots of a pool's live workers.
#[derive(Serialize, utoipa::ToSchema)]
struct PoolSlots {
    total: i64,
    busy: i64,
    free: i64,
}

/// Jobs of a pool, of all tenants, as the dispatcher last counted them: every few seconds, less often where there are very many.
#[derive(Serialize, utoipa::ToSchema)]
struct PoolJobs {
    /// Their time, their dependencies or their batch have not come.
    scheduled: i64,
    /// Behind other jobs of their projects: more workers would not help them.
    pending: i64,
    /// They wait for a slot.
    queued: i64,
    /// They pause after an attempt that failed.
    backing_off: i64,
    /// A worker is being found for them.
    dispatched: i64,
    running: i64,
    /// `queued`, `dispatched` and `running` together: how many slots would serve all that can run.
    demand_slots: i64,
    /// Seconds that job has waited for a slot that has waited longest; 0 where none waits.
    oldest_wait_s: f64,
    /// When they were counted. It falls behind while no dispatcher leads.
    counted_at: DateTime<Utc>,
}

impl From<PoolRow> for PoolView {
    fn from(row: PoolRow) -> Self {
        let (sessions, agents) = session::split(row.agents);
        Self {
            workers: PoolWorkers { live: row.live, draining: row.draining, drained: row.drained, lost: row.lost },
            slots: PoolSlots { total: row.slots, busy: row.busy, free: row.slots - row.busy },
            agents,
            sessions,
            isolation: row.isolation,
            jobs: row.jobs.map(PoolJobs::from),
            name: row.name,
        }
    }
}

impl From<PoolCount> for PoolJobs {
    fn from(count: PoolCount) -> Self {
        Self {
            demand_slots: count.demand(),
            oldest_wait_s: count.oldest_wait_s(),
            scheduled: count.scheduled,
            pending: count.pending,
            queued: count.queued,
            backing_off: count.backing_off,
            dispatched: count.dispatched,
            running: count.running,
            counted_at: count.counted_at,
        }
    }
}

/// List pools
#[utoipa::path(
    get, path = "/api/v1/pools", tag = "fleet",
    params(("pool" = Option<String>, Query, description = "Only this one")),
    responses((status = 200, body = PoolList), (status = 422))
)]
pub(crate) async fn list_pools(State(app): State<Shared>, query: Query) -> Result<Json<PoolList>, ApiError> {
    let mut fields = query.fields();
    let pool = fields.optional("pool", rules::name);
    let pool = fields.finish(|| Some(pool))?;
    let rows = pool_count::list(&app.unscoped().await?, pool.as_deref(), MAX).await?;
    Ok(Json(PoolList { items: rows.into_iter().map(PoolView::from).collect() }))
}
