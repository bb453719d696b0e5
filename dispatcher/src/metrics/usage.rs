//! Usage.

use prometheus::{IntCounter, Registry};

/// What is counted for tenants.
#[derive(Clone, Debug)]
pub(crate) struct UsageMetrics {
    pub(crate) jobs: IntCounter,
}

impl UsageMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Jobs that ended, counted in their tenant's usage.";
        let jobs = IntCounter::new("drydock_dispatcher_usage_jobs_counted_total", help)?;
        registry.register(Box::new(jobs.clone()))?;
        Ok(Self { jobs })
    }
}
