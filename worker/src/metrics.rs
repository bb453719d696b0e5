//! Metrics of one worker process.

use drydock_agent::Resource;
use drydock_domain::{Isolation, Outcome};
use drydock_runtime::metrics::{LATENCY_SECONDS, RUN_SECONDS};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::workspace::Rung;

/// Counters, gauges and histograms of this crate.
#[derive(Clone, Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) slots: IntGauge,
    pub(crate) slots_in_use: IntGauge,
    pub(crate) draining: IntGauge,
    /// What outages led to.
    pub(crate) outages: OutageMetrics,
    pub(crate) offers: OfferMetrics,
    pub(crate) isolation: IsolationMetrics,
    attempts: IntCounterVec,
    materialized: IntCounterVec,
    /// Rungs that failed a job, which took the next.
    pub(crate) downgrades: IntCounterVec,
    pub(crate) stages: HistogramVec,
    pub(crate) run_seconds: Histogram,
    over_limit: IntCounterVec,
    pub(crate) commands_refused: IntCounter,
    pub(crate) log_bytes: IntCounter,
    pub(crate) log_bytes_dropped: IntCounter,
    pub(crate) finish_retries: IntCounter,
}

fn over_limit(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Jobs and sessions ended for taking more of the node than they may, by what they took.";
    let counters = IntCounterVec::new(Opts::new("drydock_worker_over_limit_total", help), &["resource"])?;
    registry.register(Box::new(counters.clone()))?;
    Resource::ALL.iter().for_each(|resource| drop(counters.with_label_values(&[resource.as_str()])));
    Ok(counters)
}

impl WorkerMetrics {
    /// Registers the metrics; every outcome starts at 0, since an alert never fires on a counter that was never created.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| counter(registry, name, help);
        let gauge = |name: &str, help: &str| gauge(registry, name, help);
        let attempts = IntCounterVec::new(
            Opts::new("drydock_worker_attempts_total", "Attempts ended, by outcome."),
            &["outcome"],
        )?;
        registry.register(Box::new(attempts.clone()))?;
        for outcome in Outcome::ALL {
            attempts.with_label_values(&[outcome.as_str()]);
        }
        let by_rung = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &["rung"])?;
            registry.register(Box::new(counters.clone()))?;
            Rung::ALL.iter().for_each(|rung| drop(counters.with_label_values(&[rung.as_str()])));
            prometheus::Result::Ok(counters)
        };
        let stages = HistogramVec::new(
            HistogramOpts::new("drydock_worker_stage_seconds", "Time of our own stages of an attempt.")
                .buckets(LATENCY_SECONDS.to_vec()),
            &["stage"],
        )?;
        registry.register(Box::new(stages.clone()))?;
        let run_seconds = Histogram::with_opts(
            HistogramOpts::new("drydock_worker_run_seconds", "Time agents ran.").buckets(RUN_SECONDS.to_vec()),
        )?;
        registry.register(Box::new(run_seconds.clone()))?;
        Ok(Self {
            slots: gauge("drydock_worker_slots", "Jobs this worker runs at once.")?,
            slots_in_use: gauge("drydock_worker_slots_in_use", "Jobs it runs now.")?,
            draining: gauge(
                "drydock_worker_draining",
                "1 while this worker is asked to drain: it takes no more jobs, and stays.",
            )?,
            outages: OutageMetrics::register(registry)?,
            offers: OfferMetrics::register(registry)?,
            isolation: IsolationMetrics::register(registry)?,
            attempts,
            materialized: by_rung("drydock_worker_materialized_total", "Workspaces made, by rung.")?,
            downgrades: by_rung(
                "drydock_worker_rung_downgrades_total",
                "Workspaces a rung could not make, so that the next was taken, by rung.",
            )?,
            stages,
            run_seconds,
            over_limit: over_limit(registry)?,
            commands_refused: counter(
                "drydock_worker_commands_refused_total",
                "Command lines of jobs that this pool does not run.",
            )?,
            log_bytes: counter("drydock_worker_log_bytes_total", "Bytes of job output kept.")?,
            log_bytes_dropped: counter(
                "drydock_worker_log_bytes_dropped_total",
                "Bytes of job output beyond a job's cap.",
            )?,
            finish_retries: counter(
                "drydock_worker_finish_retries_total",
                "Finishes asked again because the database did not answer.",
            )?,
        })
    }

    /// A workspace was made.
    pub(crate) fn materialized(&self, rung: Rung) {
        self.materialized.with_label_values(&[rung.as_str()]).inc();
    }

    /// A job was ended for what it took.
    pub(crate) fn was_over_limit(&self, resource: Resource) {
        self.over_limit.with_label_values(&[resource.as_str()]).inc();
    }

    /// An attempt ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.attempts.with_label_values(&[outcome.as_str()]).inc();
    }
}

/// What became of jobs this worker was offered because it has their base version.
#[derive(Clone, Debug)]
pub(crate) struct OfferMetrics {
    pub(crate) taken: IntCounter,
    pub(crate) declined: IntCounter,
    pub(crate) stale: IntCounter,
    pub(crate) fetched_ahead: IntCounter,
}

impl OfferMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Jobs this worker was offered because it has their base version, by what became of them: \
            taken; declined for want of a slot or of object storage; stale, because they went elsewhere.";
        let offers = IntCounterVec::new(Opts::new("drydock_worker_offers_total", help), &["outcome"])?;
        registry.register(Box::new(offers.clone()))?;
        let of = |outcome| offers.with_label_values(&[outcome]);
        let fetched_ahead = counter(
            registry,
            "drydock_worker_trees_ahead_total",
            "Trees that were brought here before a job needed them.",
        )?;
        Ok(Self { taken: of("taken"), declined: of("declined"), stale: of("stale"), fetched_ahead })
    }
}

/// The walls around jobs.
#[derive(Clone, Debug)]
pub(crate) struct IsolationMetrics {
    /// Self-tests after the first.
    pub(crate) passed: IntCounter,
    pub(crate) failed: IntCounter,
    level: IntGaugeVec,
}

impl IsolationMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Self-tests of the walls around jobs while the worker ran, by what came of them.";
        let tests = IntCounterVec::new(Opts::new("drydock_worker_isolation_tests_total", help), &["outcome"])?;
        registry.register(Box::new(tests.clone()))?;
        let of = |outcome| tests.with_label_values(&[outcome]);
        let level =
            IntGaugeVec::new(Opts::new("drydock_worker_isolation", "1 at the level jobs get here."), &["level"])?;
        registry.register(Box::new(level.clone()))?;
        Isolation::ALL.iter().for_each(|one| drop(level.with_label_values(&[one.as_str()])));
        Ok(Self { passed: of("passed"), failed: of("failed"), level })
    }

    /// Tells the level that was granted.
    pub(crate) fn granted(&self, level: Isolation) {
        self.level.with_label_values(&[level.as_str()]).set(1);
    }
}

/// What came of servers that were away.
#[derive(Clone, Debug)]
pub(crate) struct OutageMetrics {
    pub(crate) breaker_open: IntGauge,
    pub(crate) pulled: IntCounter,
    pub(crate) returned: IntCounter,
    pub(crate) push_retries: IntCounter,
    pub(crate) results_kept: IntCounter,
    pub(crate) renewals_missed: IntCounter,
    pub(crate) agents_frozen: IntCounter,
    pub(crate) agents_thawed: IntCounter,
    pub(crate) agents_killed: IntCounter,
}

impl OutageMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| counter(registry, name, help);
        Ok(Self {
            breaker_open: gauge(
                registry,
                "drydock_worker_storage_breaker_open",
                "1 while no jobs are taken because object storage failed several.",
            )?,
            pulled: counter(
                "drydock_worker_tickets_pulled_total",
                "Tickets read from PostgreSQL instead of RabbitMQ.",
            )?,
            returned: counter("drydock_worker_tickets_returned_total", "Tickets handed back unclaimed.")?,
            push_retries: counter(
                "drydock_worker_push_retries_total",
                "Pushes tried again because PostgreSQL or object storage was away.",
            )?,
            results_kept: counter(
                "drydock_worker_results_kept_total",
                "Results written to the scratch disk because the database did not take them at once.",
            )?,
            renewals_missed: counter("drydock_worker_renewals_missed_total", "Lease renewals without an answer.")?,
            agents_frozen: counter(
                "drydock_worker_agents_frozen_total",
                "Attempts whose agent was stopped because the lease could not be renewed.",
            )?,
            agents_thawed: counter("drydock_worker_agents_thawed_total", "Attempts whose frozen agent went on.")?,
            agents_killed: counter(
                "drydock_worker_agents_killed_total",
                "Attempts whose agent was killed because the lease was gone.",
            )?,
        })
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}
