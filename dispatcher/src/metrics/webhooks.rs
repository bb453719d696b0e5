//! What webhooks were told.

use std::time::Duration;

use drydock_database::webhook::{Disabled, Outcome, Recorded};
use drydock_webhook::{Attempt, Failure};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters, and the gauges that only the leader sets.
#[derive(Clone, Debug)]
pub(crate) struct WebhookMetrics {
    deliveries: IntCounterVec,
    failures: IntCounterVec,
    disabled: IntCounterVec,
    forgotten: IntCounter,
    seconds: Histogram,
    pending: IntGauge,
    late: Gauge,
}

impl WebhookMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let by = |label: &str, name: &str, help: &str, words: &[&str]| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            for word in words {
                counters.with_label_values(&[word]);
            }
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let outcomes = [Outcome::Delivered, Outcome::Retrying, Outcome::Failed, Outcome::Lost].map(Outcome::as_str);
        let help = "Tries to tell a webhook, by what became of the message.";
        let deliveries = by("outcome", "drydock_dispatcher_webhook_deliveries_total", help, &outcomes)?;
        let help = "Messages that did not arrive, by what went wrong.";
        let kinds = Failure::ALL.map(Failure::as_str);
        let failures = by("error", "drydock_dispatcher_webhook_failures_total", help, &kinds)?;
        let help = "Webhooks that were disabled, by why.";
        let reasons = [Disabled::Gone, Disabled::Failing].map(Disabled::as_str);
        let disabled = by("reason", "drydock_dispatcher_webhooks_disabled_total", help, &reasons)?;
        let help = "Deliveries dropped from the log because they are old.";
        let forgotten = IntCounter::new("drydock_dispatcher_webhook_deliveries_forgotten_total", help)?;
        let help = "Time from sending a message to its answer, or to knowing that there is none.";
        let options = HistogramOpts::new("drydock_dispatcher_webhook_delivery_seconds", help)
            .buckets(vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]);
        let seconds = Histogram::with_opts(options)?;
        let help = "Messages to webhooks that wait, counted up to 100000; from the leader.";
        let pending = IntGauge::new("drydock_webhook_deliveries_pending", help)?;
        let help = "For how long the message has been due that waits longest; from the leader.";
        let late = Gauge::new("drydock_webhook_oldest_due_seconds", help)?;
        registry.register(Box::new(forgotten.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(pending.clone()))?;
        registry.register(Box::new(late.clone()))?;
        Ok(Self { deliveries, failures, disabled, forgotten, seconds, pending, late })
    }

    pub(crate) fn tried(&self, attempt: &Attempt) {
        self.seconds.observe(attempt.took.as_secs_f64());
        if let Some(failure) = attempt.failure {
            self.failures.with_label_values(&[failure.as_str()]).inc();
        }
    }

    pub(crate) fn recorded(&self, recorded: Recorded) {
        self.deliveries.with_label_values(&[recorded.outcome.as_str()]).inc();
        if let Some(reason) = recorded.disabled {
            self.disabled.with_label_values(&[reason.as_str()]).inc();
        }
    }

    pub(crate) fn forgot(&self, deliveries: i32) {
        self.forgotten.inc_by(u64::from(deliveries.unsigned_abs()));
    }

    pub(crate) fn backlog(&self, pending: i64, late: Duration) {
        self.pending.set(pending);
        self.late.set(late.as_secs_f64());
    }

    pub(super) fn reset(&self) {
        self.backlog(0, Duration::ZERO);
    }
}
