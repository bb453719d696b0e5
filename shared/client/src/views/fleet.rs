//! Workers and pools.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A worker.
#[derive(Clone, Debug, Deserialize)]
pub struct Worker {
    /// The process.
    pub id: String,
    /// Host and scratch directory.
    pub instance: String,
    /// Whose jobs it takes.
    pub pool: String,
    /// `live`, `draining` (runs its last jobs), `drained` or `lost`.
    pub state: String,
    /// Since when it is asked to take no more jobs.
    pub drain_asked_at: Option<DateTime<Utc>>,
    /// Jobs at once.
    pub slots: u32,
    /// Jobs now.
    pub busy: u32,
    /// Agents it can run.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Servers that sessions can run on it.
    #[serde(default)]
    pub sessions: Vec<String>,
    /// The isolation it gives.
    pub isolation: String,
    /// How it makes workspaces.
    pub rung: String,
    /// Why not in a better way: the reason by rung.
    #[serde(default)]
    pub refused_rungs: BTreeMap<String, String>,
    /// Versions on its node.
    #[serde(default)]
    pub held_trees: u64,
    /// Its build.
    pub build: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// A pool.
#[derive(Clone, Debug, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its workers by state.
    pub workers: PoolWorkers,
    /// The slots of its live workers.
    pub slots: PoolSlots,
    /// Agents that a live worker has.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Servers of sessions that a live worker has.
    #[serde(default)]
    pub sessions: Vec<String>,
    /// Its jobs; `None` until they were first counted.
    pub jobs: Option<PoolJobs>,
}

/// Workers of a pool by state.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolWorkers {
    /// Take jobs.
    pub live: u64,
    /// Run their last ones.
    pub draining: u64,
    /// Run none, and take none.
    pub drained: u64,
    /// Their lease ran out.
    pub lost: u64,
}

/// Slots of a pool's live workers.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolSlots {
    /// All.
    pub total: u64,
    /// In use.
    pub busy: u64,
}

/// Jobs of a pool, as last counted.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolJobs {
    /// Behind others of their projects.
    pub pending: u64,
    /// Wait for a slot.
    pub queued: u64,
    /// A worker is being found for them.
    pub dispatched: u64,
    /// Run.
    pub running: u64,
    /// Slots that would serve all that can run.
    pub demand_slots: u64,
    /// Seconds that the oldest has waited for a slot.
    pub oldest_wait_s: f64,
}
