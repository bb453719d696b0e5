//! What batches did.

use drydock_database::batch::Stepped;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Counters of batches.
#[derive(Clone, Debug)]
pub(crate) struct BatchMetrics {
    jobs: IntCounterVec,
    paused: IntCounterVec,
    finished: IntCounter,
    pub(crate) failed: IntCounter,
}

impl BatchMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Jobs of batches that were let go to the fleet, taken back by a pause, or cancelled.";
        let jobs = IntCounterVec::new(Opts::new("drydock_dispatcher_batch_jobs_total", help), &["step"])?;
        let help = "Batches that paused by their own rules, by which.";
        let paused = IntCounterVec::new(Opts::new("drydock_dispatcher_batches_paused_total", help), &["reason"])?;
        let finished =
            IntCounter::new("drydock_dispatcher_batches_finished_total", "Batches whose jobs are all over.")?;
        let failed = IntCounter::new(
            "drydock_dispatcher_batch_steps_failed_total",
            "Steps of batches that failed for a reason of their own; the log has it.",
        )?;
        for collector in [&jobs, &paused] {
            registry.register(Box::new(collector.clone()))?;
        }
        for collector in [&finished, &failed] {
            registry.register(Box::new(collector.clone()))?;
        }
        for step in ["let_go", "taken_back", "cancelled"] {
            jobs.with_label_values(&[step]);
        }
        for reason in ["canary", "failure_rate", "budget"] {
            paused.with_label_values(&[reason]);
        }
        Ok(Self { jobs, paused, finished, failed })
    }

    pub(crate) fn stepped(&self, stepped: Stepped) {
        for (step, count) in
            [("let_go", stepped.let_go), ("taken_back", stepped.taken_back), ("cancelled", stepped.cancelled)]
        {
            self.jobs.with_label_values(&[step]).inc_by(u64::from(count.unsigned_abs()));
        }
        if let Some(reason) = stepped.paused {
            self.paused.with_label_values(&[reason.as_str()]).inc();
        }
        if stepped.finished {
            self.finished.inc();
        }
    }
}
