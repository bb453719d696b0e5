//! Shared pieces of metrics: bucket lists with their reasons, and the registry a process starts with.

use prometheus::{IntGaugeVec, Opts, Registry};

/// Seconds of one request or round trip: 1 ms to 10 s, where a person or a client's time-out starts to care.
pub const LATENCY_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds of an agent's run: agents work from a second to hours.
pub const RUN_SECONDS: &[f64] =
    &[0.1, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];

/// A registry with the process's own metrics and `drydock_build_info`.
///
/// # Errors
/// A metric is registered twice.
pub fn registry(component: &str) -> prometheus::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let build = IntGaugeVec::new(
        Opts::new("drydock_build_info", "Always 1; the labels tell what runs."),
        &["component", "version"],
    )?;
    build.with_label_values(&[component, crate::build_info::VERSION]).set(1);
    registry.register(Box::new(build))?;
    Ok(registry)
}
