//! The audit log's chain.

use prometheus::{IntCounter, IntGauge, Registry};

/// What has a hash, and what has none yet.
#[derive(Clone, Debug)]
pub(crate) struct AuditMetrics {
    pub(crate) chained: IntCounter,
    /// Set by the leader.
    pub(crate) pending: IntGauge,
}

impl AuditMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Records of the audit log that got their hash.";
        let chained = IntCounter::new("drydock_dispatcher_audit_records_chained_total", help)?;
        let help = "Records of the audit log that have no hash yet, counted up to 100,000.";
        let pending = IntGauge::new("drydock_audit_records_pending", help)?;
        registry.register(Box::new(chained.clone()))?;
        registry.register(Box::new(pending.clone()))?;
        Ok(Self { chained, pending })
    }
}
