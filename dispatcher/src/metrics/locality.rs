//! Metrics of bringing jobs and their base versions together.

use prometheus::{IntCounter, Registry};

/// Counters of the leader.
#[derive(Clone, Debug)]
pub(crate) struct LocalityMetrics {
    pub(crate) offered: IntCounter,
    pub(crate) fetched_ahead: IntCounter,
}

impl LocalityMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            offered: counter(
                "drydock_dispatcher_tickets_offered_total",
                "Tickets that a worker with the job's base version was offered before its pool.",
            )?,
            fetched_ahead: counter(
                "drydock_dispatcher_trees_ahead_total",
                "Trees that a worker was told to fetch before their jobs came.",
            )?,
        })
    }
}
