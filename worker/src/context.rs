//! What every part of the worker is given.

use std::sync::Arc;

use bytes::Bytes;
use drydock_database::{Database, session, version::StoredAt, wake::Waker, worker::NewWorker};
use drydock_domain::{AttemptId, Digest, Isolation, TenantId, WorkerId};
use drydock_storage::{Storage, StoredTree};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::{
    WorkerConfig,
    breaker::Breaker,
    cordon::Cordon,
    grouped::Grouped,
    job::Finishing,
    lease::{Setup, Terms},
    metrics::WorkerMetrics,
    running::Running,
    workspace::{Base, Materializer, ScratchRoot},
};
use drydock_agent::{Agents, Jail};
use drydock_egress::Egress;

/// Handles and settings; cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) agents: Arc<Agents>,
    /// The walls around jobs; none only where the operator chose that.
    pub(crate) jail: Option<Jail>,
    /// What the brokers of agents are made with.
    pub(crate) egress: Egress,
    pub(crate) scratch: ScratchRoot,
    pub(crate) database: Database,
    pub(crate) storage: Storage,
    pub(crate) materializer: Materializer,
    pub(crate) waker: Waker,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) running: Running,
    /// Tells how attempts ended.
    pub(crate) finishes: Arc<Grouped<Finishing>>,
    /// Whether object storage can be relied on.
    pub(crate) breaker: Breaker,
    /// Whether it is asked to take no jobs.
    pub(crate) cordon: Cordon,
    /// Jobs, and what they leave to be done without their slot; a stop waits for all of it.
    pub(crate) tasks: TaskTracker,
    /// Host and scratch directory: what a successor of this process shares with it.
    pub(crate) instance: Arc<str>,
}

impl Context {
    /// The isolation this worker gives: what was granted when it started.
    pub(crate) fn isolation(&self) -> Isolation {
        self.jail.as_ref().map_or(Isolation::None, |jail| jail.level)
    }

    /// A version to start from, by what the database says of it.
    pub(crate) fn base(&self, tenant: TenantId, stored: &StoredAt) -> Base {
        let StoredAt { tree, manifest, delta } = stored;
        let stored = StoredTree { manifest: Digest::from_bytes(*manifest), delta: delta.clone().map(Bytes::from) };
        self.materializer.base(tenant, Digest::from_bytes(*tree), stored)
    }

    /// What the lease needs of all this.
    pub(crate) fn lease(&self, unknown: mpsc::UnboundedSender<AttemptId>) -> Setup {
        let (context, config) = (self.clone(), &self.config);
        Setup {
            terms: Terms {
                ttl: config.lease_ttl,
                on_lost_contact: config.on_lost_contact,
                freeze_limit: config.freeze_limit,
            },
            database: self.database.clone(),
            describe: Box::new(move |id| context.describe(id)),
            running: self.running.clone(),
            cordon: self.cordon.clone(),
            waker: self.waker.clone(),
            metrics: self.metrics.clone(),
            unknown,
        }
    }

    /// How this process introduces itself.
    pub(crate) fn describe(&self, id: WorkerId) -> NewWorker {
        NewWorker {
            id,
            instance: self.instance.to_string(),
            pool: self.config.pool.clone(),
            slots: self.config.slots().into(),
            session_slots: self.config.session_slots().into(),
            agents: offered(&self.agents, self.config.session_slots()),
            labels: serde_json::json!({}),
            isolation: self.isolation(),
            rung: self.materializer.ladder().best().to_string(),
            refused_rungs: self
                .materializer
                .ladder()
                .refused()
                .iter()
                .map(|refused| (refused.rung.to_string(), serde_json::json!(refused.reason)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            build: drydock_runtime::build_info::VERSION.to_owned(),
        }
    }
}

/// Agents, and session servers under names that no agent has, where there is a slot for one.
fn offered(agents: &Agents, session_slots: u16) -> Vec<String> {
    let servers = if session_slots == 0 { Vec::new() } else { agents.servers() };
    agents.names().into_iter().chain(servers.iter().map(|server| session::agent_of(server))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_agent::AgentsConfig;

    #[test]
    fn servers_are_offered_only_where_there_is_a_slot_for_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "[session.s]\nargv = ['/bin/true', '{port_file}']\nport = 'file'\n").unwrap();
        let config = AgentsConfig { file: Some(file.path().to_owned()), ..AgentsConfig::default() };
        let agents = Agents::load(&config).unwrap();
        let has = |slots| offered(&agents, slots).contains(&"session/s".to_owned());
        assert!(has(1) && !has(0));
        assert!(offered(&agents, 0).contains(&"command".to_owned()));
    }
}
