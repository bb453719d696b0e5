//! Gauges of the pools, which only the leader sets.

use drydock_database::pool_count::PoolCount;
use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry, core::Collector};

/// Jobs and slots by pool.
#[derive(Clone, Debug)]
pub(super) struct PoolMetrics {
    jobs: IntGaugeVec,
    slots: IntGaugeVec,
    demand: IntGaugeVec,
    oldest: GaugeVec,
}

impl PoolMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Live jobs by state; from the leader, query with max by.";
        let jobs = IntGaugeVec::new(Opts::new("drydock_jobs", help), &["pool", "state"])?;
        let help = "Slots of live workers; from the leader.";
        let slots = IntGaugeVec::new(Opts::new("drydock_pool_slots", help), &["pool"])?;
        let help = "Slots that would serve all jobs that can run: those that may be admitted, are, or run; from the leader. \
            What to scale a pool by.";
        let demand = IntGaugeVec::new(Opts::new("drydock_pool_demand_slots", help), &["pool"])?;
        let help =
            "How long that job has waited for a slot that has waited longest; 0 where none waits; from the leader.";
        let oldest = GaugeVec::new(Opts::new("drydock_pool_oldest_wait_seconds", help), &["pool"])?;
        let all: [Box<dyn Collector>; 4] =
            [Box::new(jobs.clone()), Box::new(slots.clone()), Box::new(demand.clone()), Box::new(oldest.clone())];
        all.into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(Self { jobs, slots, demand, oldest })
    }

    /// This process leads no more.
    pub(super) fn reset(&self) {
        for gauge in [&self.jobs, &self.slots, &self.demand] {
            gauge.reset();
        }
        self.oldest.reset();
    }

    /// Every state is set, so that an empty one reads 0 instead of vanishing.
    pub(super) fn counted(&self, count: &PoolCount) {
        let pool = count.pool.as_str();
        let queued = count.queued + count.backing_off;
        let states = [("scheduled", count.scheduled), ("pending", count.pending), ("queued", queued)];
        let held = [("dispatched", count.dispatched), ("running", count.running)];
        for (state, jobs) in states.into_iter().chain(held) {
            self.jobs.with_label_values(&[pool, state]).set(jobs);
        }
        self.slots.with_label_values(&[pool]).set(count.slots);
        self.demand.with_label_values(&[pool]).set(count.demand());
        self.oldest.with_label_values(&[pool]).set(count.oldest_wait_s());
    }
}
