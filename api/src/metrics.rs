//! Metrics of the HTTP side: how many requests, how they ended, how long they took, how many streams are open.

use drydock_runtime::metrics::LATENCY_SECONDS;
use prometheus::{HistogramOpts, HistogramVec, IntGauge, Registry};

/// Request metrics. The route is the pattern, never the path.
#[derive(Clone, Debug)]
pub(crate) struct ApiMetrics {
    /// Seconds until the head of the response was ready.
    pub(crate) request_seconds: HistogramVec,
    /// Open event and log streams.
    pub(crate) streams: IntGauge,
}

impl ApiMetrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Seconds until the head of a response was ready, by method, route and status class.";
        let opts = HistogramOpts::new("drydock_api_request_seconds", help).buckets(LATENCY_SECONDS.to_vec());
        let request_seconds = HistogramVec::new(opts, &["method", "route", "status"])?;
        let streams = IntGauge::new("drydock_api_streams", "Open event and log streams.")?;
        registry.register(Box::new(request_seconds.clone()))?;
        registry.register(Box::new(streams.clone()))?;
        Ok(Self { request_seconds, streams })
    }
}
