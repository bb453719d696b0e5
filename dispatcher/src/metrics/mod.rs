//! Metrics of the dispatcher: its own counters, and the fleet's gauges, which only the leader sets.

mod audit;
mod batches;
mod collection;
mod locality;
mod pools;
mod usage;
mod webhooks;

use drydock_database::{job::Moved, pool_count::PoolCount};
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

pub(crate) use self::webhooks::WebhookMetrics;
use self::{
    audit::AuditMetrics, batches::BatchMetrics, collection::CollectionMetrics, locality::LocalityMetrics,
    pools::PoolMetrics, usage::UsageMetrics,
};

/// Counters and gauges of this crate.
#[derive(Clone, Debug)]
pub(crate) struct DispatcherMetrics {
    leader: IntGauge,
    transitions: IntCounter,
    pub(crate) admitted: IntCounter,
    pub(crate) redispatched: IntCounter,
    pub(crate) locality: LocalityMetrics,
    /// By the broker's reason.
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) reaped: IntCounterVec,
    moved: IntCounterVec,
    pub(crate) fired: IntCounterVec,
    pub(crate) sealed: IntCounter,
    pub(crate) usage: UsageMetrics,
    pub(crate) reaping_held: IntGauge,
    relay_up: IntGauge,
    pub(crate) oldest_transaction_seconds: Gauge,
    pub(crate) audit: AuditMetrics,
    pools: PoolMetrics,
    pub(crate) collection: CollectionMetrics,
    pub(crate) batches: BatchMetrics,
    pub(crate) webhooks: WebhookMetrics,
}

impl DispatcherMetrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let by = |label: &str, name: &str, help: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let oldest_transaction_seconds = oldest_transaction(registry)?;
        Ok(Self {
            leader: gauge("drydock_dispatcher_leader", "1 while this process leads the fleet.")?,
            transitions: counter("drydock_dispatcher_leader_transitions_total", "Times the lead was taken or lost.")?,
            admitted: counter("drydock_dispatcher_jobs_admitted_total", "Jobs admitted.")?,
            redispatched: counter(
                "drydock_dispatcher_tickets_redispatched_total",
                "Tickets sent again: unconfirmed or unclaimed.",
            )?,
            locality: LocalityMetrics::register(registry)?,
            dead_letters: by(
                "reason",
                "drydock_dispatcher_dead_letters_total",
                "Tickets that RabbitMQ gave up delivering, by its reason; their jobs were queued again or had moved on.",
            )?,
            reaped: by(
                "state",
                "drydock_dispatcher_attempts_reaped_total",
                "Attempts taken back from workers that are over, by what became of the job.",
            )?,
            moved: by(
                "wait",
                "drydock_dispatcher_waits_ended_total",
                "Jobs whose wait ended, by what they waited for.",
            )?,
            fired: by(
                "outcome",
                "drydock_dispatcher_schedules_fired_total",
                "Times of schedules that came, by what came of them.",
            )?,
            reaping_held: gauge(
                "drydock_dispatcher_reaping_held",
                "1 while so many leases ran out together that nobody is declared over.",
            )?,
            relay_up: gauge("drydock_dispatcher_relay_up", "1 while tickets are published; from the leader.")?,
            sealed: counter("drydock_dispatcher_logs_sealed_total", "Logs sealed in place of a worker that died.")?,
            usage: UsageMetrics::register(registry)?,
            oldest_transaction_seconds,
            audit: AuditMetrics::register(registry)?,
            pools: PoolMetrics::register(registry)?,
            collection: CollectionMetrics::register(registry)?,
            batches: BatchMetrics::register(registry)?,
            webhooks: WebhookMetrics::register(registry)?,
        })
    }

    pub(crate) fn leads(&self, leads: bool) {
        if self.leader.get() != i64::from(leads) {
            self.transitions.inc();
        }
        self.leader.set(leads.into());
        if !leads {
            self.pools.reset();
            self.relay_up.set(0);
            self.reaping_held.set(0);
            self.oldest_transaction_seconds.set(0.0);
            self.audit.pending.set(0);
            self.collection.reset();
            self.webhooks.reset();
        }
    }

    pub(crate) fn moved(&self, moved: Moved) {
        for (wait, count) in [
            ("run_at", moved.due),
            ("back_off", moved.ready),
            ("dependency", moved.depend),
            ("queue_timeout", moved.expired),
        ] {
            self.moved.with_label_values(&[wait]).inc_by(u64::from(count.unsigned_abs()));
        }
    }

    pub(crate) fn relay_up(&self, up: bool) {
        self.relay_up.set(up.into());
    }

    /// A pool's gauges.
    pub(crate) fn pool(&self, pool: &PoolCount) {
        self.pools.counted(pool);
    }
}

fn oldest_transaction(registry: &Registry) -> prometheus::Result<Gauge> {
    let seconds = Gauge::new(
        "drydock_database_oldest_transaction_seconds",
        "Age of the oldest open transaction, which holds back the removal of old rows; from the leader.",
    )?;
    registry.register(Box::new(seconds.clone()))?;
    Ok(seconds)
}
