//! A worker as it is shown.

use chrono::{DateTime, Utc};
use drydock_database::{session, worker_list::WorkerRow};
use drydock_domain::WorkerId;
use serde::Serialize;

/// A worker.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WorkerView {
    #[schema(value_type = Uuid)]
    id: WorkerId,
    instance: String,
    pool: String,
    /// `live`; `draining`: it takes no more jobs, and runs some; `drained`: it takes none and runs none; `lost`: its lease ran out.
    state: &'static str,
    /// Since when it is asked to drain. A worker that drains because it stops has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_asked_at: Option<DateTime<Utc>>,
    slots: i32,
    /// Slots in use.
    busy: i64,
    agents: Vec<String>,
    /// Servers that sessions can run on it.
    sessions: Vec<String>,
    isolation: String,
    /// How it makes workspaces.
    rung: String,
    /// Why not in a better way: the reason by rung.
    #[schema(value_type = HashMap<String, String>)]
    refused_rungs: serde_json::Value,
    /// Trees of versions on its node: jobs that start from one of them are offered to it first.
    held_trees: i64,
    build: String,
    lease_until: DateTime<Utc>,
    started_at: DateTime<Utc>,
}

impl From<WorkerRow> for WorkerView {
    fn from(row: WorkerRow) -> Self {
        let state = match (row.leased, row.draining) {
            (false, _) => "lost",
            (true, false) => "live",
            (true, true) if row.busy > 0 => "draining",
            (true, true) => "drained",
        };
        let (sessions, agents) = session::split(row.agents);
        Self {
            id: row.id,
            instance: row.instance,
            pool: row.pool,
            state,
            drain_asked_at: row.drain_asked_at,
            slots: row.slots,
            busy: row.busy,
            agents,
            sessions,
            isolation: row.isolation,
            rung: row.rung,
            refused_rungs: row.refused_rungs,
            held_trees: row.held_trees,
            build: row.build,
            lease_until: row.lease_until,
            started_at: row.started_at,
        }
    }
}
