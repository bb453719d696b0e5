//! Whether this worker is asked to take no more jobs, and to stay: an operator drains it, for a node that is to go or a fault to be looked
//! into. Learned with the lease's renewals; PostgreSQL refuses its claims from before it hears of it.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::watch;

/// Up while no jobs are taken; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Cordon {
    up: Arc<watch::Sender<bool>>,
    shown: IntGauge,
}

impl Cordon {
    /// Down; `shown` is 1 while it is up.
    pub(crate) fn new(shown: IntGauge) -> Self {
        Self { up: Arc::new(watch::Sender::new(false)), shown }
    }

    /// What the worker is asked.
    pub(crate) fn set(&self, up: bool) {
        if self.up.send_replace(up) == up {
            return;
        }
        self.shown.set(up.into());
        if up {
            tracing::info!("asked to drain: taking no more jobs, finishing those that run");
        } else {
            tracing::info!("asked to drain no longer: taking jobs");
        }
    }

    /// Whether no jobs are taken.
    pub(crate) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Resolves when none are taken.
    pub(crate) async fn raised(&self) {
        drop(self.up.subscribe().wait_for(|up| *up).await);
    }

    /// Resolves when jobs are taken.
    pub(crate) async fn lifted(&self) {
        drop(self.up.subscribe().wait_for(|up| !*up).await);
    }
}
