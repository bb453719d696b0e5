//! What every loop is given.

use std::sync::Arc;

use drydock_database::{Database, job::Term, wake::Waker};
use drydock_queue::Broker;
use drydock_runtime::Shutdown;
use drydock_storage::Storage;
use tokio::sync::{Notify, watch};

use crate::{DispatcherConfig, metrics::DispatcherMetrics};

/// Handles, settings and the lead; cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Arc<DispatcherConfig>,
    pub(crate) database: Database,
    pub(crate) broker: Broker,
    pub(crate) storage: Storage,
    pub(crate) waker: Waker,
    pub(crate) metrics: DispatcherMetrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) wakes: Wakes,
    /// The lead, while this process has it.
    pub(crate) lead: watch::Receiver<Option<Lead>>,
}

/// What is woken when another process says that something has changed, and when the lead changes hands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes {
    /// There may be jobs to admit.
    pub(crate) tickets: Arc<Notify>,
    /// A wait may be over.
    pub(crate) waits: Arc<Notify>,
    /// A batch may have jobs to let go.
    pub(crate) batches: Arc<Notify>,
    /// A running job may be cancelled.
    pub(crate) hints: Arc<Notify>,
    /// A webhook may be to be told, or a place has become free.
    pub(crate) webhooks: Arc<Notify>,
}

impl Wakes {
    pub(crate) fn all(&self) {
        for wake in [&self.tickets, &self.waits, &self.batches, &self.hints, &self.webhooks] {
            wake.notify_one();
        }
    }
}

/// A lead held since a moment on this process's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lead {
    pub(crate) term: Term,
    pub(crate) since: tokio::time::Instant,
}

impl Context {
    /// The lead, while this process has it.
    pub(crate) fn lead(&self) -> Option<Lead> {
        *self.lead.borrow()
    }
}
