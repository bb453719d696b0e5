//! Counters of what is asked of object storage. Labels are operations and outcomes, never keys.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// From a fast answer on loopback (1 ms) to the default timeout (30 s).
const REQUEST_SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Metrics of one process's [`Storage`](crate::Storage).
#[derive(Clone, Debug)]
pub struct StorageMetrics {
    pub(crate) request_seconds: HistogramVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) sent: IntCounter,
    pub(crate) received: IntCounter,
}

impl StorageMetrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let request_seconds = HistogramVec::new(
            HistogramOpts::new(
                "drydock_storage_request_seconds",
                "Time of one request to object storage, by operation and outcome (ok or the kind of failure)",
            )
            .buckets(REQUEST_SECONDS.into()),
            &["operation", "outcome"],
        )?;
        let retries = IntCounterVec::new(
            Opts::new("drydock_storage_retries_total", "Requests to object storage tried again, by operation"),
            &["operation"],
        )?;
        let sent = IntCounter::new("drydock_storage_sent_bytes_total", "Bytes of object bodies uploaded")?;
        let received = IntCounter::new("drydock_storage_received_bytes_total", "Bytes of object bodies downloaded")?;
        registry.register(Box::new(request_seconds.clone()))?;
        registry.register(Box::new(retries.clone()))?;
        registry.register(Box::new(sent.clone()))?;
        registry.register(Box::new(received.clone()))?;
        Ok(Self { request_seconds, retries, sent, received })
    }
}
