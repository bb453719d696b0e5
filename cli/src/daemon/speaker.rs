//! What one daemon says of itself, and whom what it hears concerns.

use std::sync::Arc;

use drydock_domain::daemon::{FromDaemon, PROTOCOL, ToDaemon};
use drydock_runtime::build_info;
use uuid::Uuid;

use super::{job::Jobs, link::Speaker, spool::Spool, sync::Folder};

/// One daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Who it is.
    pub(crate) instance: Uuid,
    /// Its folder.
    pub(crate) folder: Arc<Folder>,
    /// What it has to tell.
    pub(crate) spool: Arc<Spool>,
    /// Agents it can run.
    pub(crate) agents: Vec<String>,
    /// What it has in hand.
    pub(crate) jobs: Jobs,
}

impl Speaker for Daemon {
    fn hello(&self) -> FromDaemon {
        FromDaemon::Hello {
            protocol: PROTOCOL,
            instance: self.instance,
            build: build_info::VERSION.to_owned(),
            agents: self.agents.clone(),
            running: self.spool.in_hand(),
        }
    }

    fn heartbeat(&self) -> FromDaemon {
        FromDaemon::Heartbeat { syncing: self.folder.is_sending(), phases: self.jobs.phases() }
    }

    fn hears(&self, said: ToDaemon) {
        match said {
            ToDaemon::Welcome { head, .. } | ToDaemon::Heartbeat { head } => {
                self.folder.hears(u64::try_from(head).unwrap_or_default());
            }
            ToDaemon::Job(job) => self.jobs.start(*job),
            ToDaemon::Cancel { attempt } => self.jobs.cancel(attempt),
            ToDaemon::Lost { attempt } => self.jobs.lose(attempt),
            // The spool has heard of these.
            ToDaemon::Logged { .. } | ToDaemon::Noted { .. } | ToDaemon::Done { .. } => {}
        }
    }
}
