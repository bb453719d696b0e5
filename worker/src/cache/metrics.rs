//! Metrics of the node cache.

use drydock_runtime::metrics::LATENCY_SECONDS;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

/// Counters of one worker's cache.
#[derive(Clone, Debug)]
pub struct CacheMetrics {
    pub(super) hits: IntCounter,
    pub(super) misses: IntCounter,
    pub(super) images_found: IntCounter,
    pub(super) image_seconds: Histogram,
    pub(super) evicted: IntCounter,
    pub(super) damaged: IntCounter,
    pub(super) refetched: IntCounter,
    pub(super) fetches_halved: IntCounter,
    pub(super) fetch_limit: IntGauge,
    pub(super) bytes: IntGauge,
}

impl CacheMetrics {
    /// Creates the metrics and registers them.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let image_seconds = Histogram::with_opts(
            HistogramOpts::new("drydock_worker_cache_image_seconds", "Time to make and mount the image of a version.")
                .buckets(LATENCY_SECONDS.to_vec()),
        )?;
        registry.register(Box::new(image_seconds.clone()))?;
        let bytes = IntGauge::new("drydock_worker_cache_bytes", "Bytes of contents kept on this node.")?;
        registry.register(Box::new(bytes.clone()))?;
        let fetch_limit = IntGauge::new(
            "drydock_worker_cache_fetch_limit",
            "Requests for contents that may be under way at once on this node; follows what object storage bears.",
        )?;
        registry.register(Box::new(fetch_limit.clone()))?;
        Ok(Self {
            hits: counter("drydock_worker_cache_hits_total", "Versions whose contents were all on this node.")?,
            misses: counter("drydock_worker_cache_misses_total", "Versions some of whose contents were fetched.")?,
            images_found: counter("drydock_worker_cache_images_found_total", "Versions that were mounted already.")?,
            image_seconds,
            evicted: counter(
                "drydock_worker_cache_evicted_total",
                "Data files, copied trees and images removed to make room.",
            )?,
            damaged: counter(
                "drydock_worker_cache_damaged_total",
                "Data files that somebody else cut, removed or wrote to, or that the disk lost; their contents are fetched again.",
            )?,
            refetched: counter(
                "drydock_worker_cache_refetched_total",
                "Requests asked again because what came did not match its hash.",
            )?,
            fetches_halved: counter(
                "drydock_worker_cache_fetch_limit_halved_total",
                "Times that limit was halved because object storage was too busy, too slow or cut a request off.",
            )?,
            fetch_limit,
            bytes,
        })
    }
}
