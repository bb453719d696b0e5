//! Broker metrics of one process.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGaugeVec, Opts, Registry};

/// Counters and gauges of this crate.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    pub(crate) up: IntGaugeVec,
    pub(crate) reconnects: IntCounter,
    pub(crate) published: IntCounter,
    pub(crate) unconfirmed: IntCounter,
    pub(crate) returned: IntCounter,
    pub(crate) confirm_seconds: Histogram,
    pub(crate) delivered: IntCounter,
    pub(crate) malformed: IntCounter,
    pub(crate) hints_sent: IntCounter,
    pub(crate) hints_heard: IntCounter,
}

impl QueueMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let up = IntGaugeVec::new(
            Opts::new("drydock_amqp_connection_up", "1 while a connection of this role stands."),
            &["role"],
        )?;
        registry.register(Box::new(up.clone()))?;
        let confirm = HistogramOpts::new(
            "drydock_amqp_publish_confirm_seconds",
            "Time from publishing a batch to its last confirm.",
        )
        .buckets(drydock_runtime::metrics::LATENCY_SECONDS.to_vec());
        let confirm_seconds = Histogram::with_opts(confirm)?;
        registry.register(Box::new(confirm_seconds.clone()))?;
        Ok(Self {
            up,
            reconnects: counter("drydock_amqp_reconnects_total", "Connections made after the first.")?,
            published: counter("drydock_amqp_tickets_confirmed_total", "Tickets the broker confirmed and routed.")?,
            unconfirmed: counter(
                "drydock_amqp_tickets_unconfirmed_total",
                "Tickets nacked, timed out or lost with their connection.",
            )?,
            returned: counter("drydock_amqp_tickets_returned_total", "Tickets no queue took: topology was missing.")?,
            confirm_seconds,
            delivered: counter("drydock_amqp_deliveries_total", "Tickets delivered to this process.")?,
            malformed: counter(
                "drydock_amqp_malformed_total",
                "Deliveries that are no ticket of a known format: acknowledged and dropped.",
            )?,
            hints_sent: counter("drydock_amqp_hints_sent_total", "Hints the broker took.")?,
            hints_heard: counter("drydock_amqp_hints_heard_total", "Hints this worker heard.")?,
        })
    }
}
