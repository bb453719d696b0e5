//! `Visit`: one connection to the broker, for as long as anything of it is under way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use prometheus::IntGauge;
use tokio::sync::OwnedSemaphorePermit;

use crate::broker::Way;

/// Whoever works for a connection has a share of its visit: HTTP gives a tunnel's connection away and is done, and the connection is not.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) way: Arc<Way>,
    /// Whether one of its requests bore the attempt's credential.
    is_known: AtomicBool,
    open: Option<IntGauge>,
    /// Its place among the connections that may be open at once.
    _place: OwnedSemaphorePermit,
}

impl Visit {
    pub(crate) fn new(way: Arc<Way>, place: OwnedSemaphorePermit) -> Self {
        let open = way.egress.metrics.as_ref().map(|metrics| metrics.connections.clone());
        open.iter().for_each(IntGauge::inc);
        Self { way, is_known: AtomicBool::new(false), open, _place: place }
    }

    /// The attempt's own.
    pub(crate) fn know(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.open.iter().for_each(IntGauge::dec);
    }
}
