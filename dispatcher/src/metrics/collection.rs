//! Metrics of the collector: what this process freed, and what there is, which only the leader sets.

use std::time::Duration;

use drydock_collector::Pass;
use drydock_database::pack::{StateCount, Tally};
use drydock_domain::ObjectKind;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

const STATES: [&str; 4] = ["uploading", "live", "condemned", "deleted"];
const FATES: [&str; 4] = ["condemned", "orphaned", "revived", "deleted"];

/// Counters and gauges of the collector.
#[derive(Clone, Debug)]
pub(crate) struct CollectionMetrics {
    objects: IntGaugeVec,
    bytes: IntGaugeVec,
    suspects: IntGauge,
    revivals: IntGauge,
    collected: IntCounterVec,
    collected_bytes: IntCounterVec,
    dropped: IntCounterVec,
    failures: IntCounterVec,
    pass_seconds: Gauge,
    last_pass: Gauge,
}

impl CollectionMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str| -> prometheus::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["kind", "state"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let counters = |label: &str, name: &str, help: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let count = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let seconds = |name: &str, help: &str| -> prometheus::Result<Gauge> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let collected = counters(
            "fate",
            "drydock_gc_objects_total",
            "Objects whose state the collector changed, by what became of them; revived: condemned, but needed at the last look.",
        )?;
        let collected_bytes = counters("fate", "drydock_gc_bytes_total", "Bytes of those objects.")?;
        for fate in FATES {
            collected.with_label_values(&[fate]);
            collected_bytes.with_label_values(&[fate]);
        }
        Ok(Self {
            objects: gauges("drydock_stored_objects", "Packs and manifests by state; from the leader.")?,
            bytes: gauges("drydock_stored_bytes", "Bytes of packs and manifests by state; from the leader.")?,
            suspects: count(
                "drydock_gc_suspects",
                "Objects that lost a name and are to be looked at; from the leader.",
            )?,
            revivals: count(
                "drydock_gc_revivals",
                "How often objects that are there were condemned and needed after all; from the leader.",
            )?,
            collected,
            collected_bytes,
            dropped: counters(
                "what",
                "drydock_gc_dropped_total",
                "What no retention keeps: versions, trees of failed attempts, logs of deleted projects, deleted projects of which nothing is left.",
            )?,
            failures: counters(
                "kind",
                "drydock_gc_failures_total",
                "Deletions that object storage did not do, and passes that the database cut short, by kind.",
            )?,
            pass_seconds: seconds("drydock_gc_last_pass_seconds", "Time the last pass took.")?,
            last_pass: seconds(
                "drydock_gc_last_pass_timestamp_seconds",
                "When the last pass ended, as Unix time; 0 where this process does not lead.",
            )?,
        })
    }

    /// This process leads no more.
    pub(super) fn reset(&self) {
        self.objects.reset();
        self.bytes.reset();
        for gauge in [&self.suspects, &self.revivals] {
            gauge.set(0);
        }
        self.pass_seconds.set(0.0);
        self.last_pass.set(0.0);
    }

    pub(crate) fn failed(&self, kind: &str) {
        self.failures.with_label_values(&[kind]).inc();
    }

    pub(crate) fn passed(&self, pass: &Pass, took: Duration) {
        let fates = [pass.judged.dropped, pass.judged.orphaned, pass.revived, pass.deletion.deleted];
        for (fate, Tally { objects, bytes }) in FATES.into_iter().zip(fates) {
            self.collected.with_label_values(&[fate]).inc_by(objects);
            self.collected_bytes.with_label_values(&[fate]).inc_by(bytes);
        }
        let dropped = [
            ("version", pass.versions + pass.of_deleted),
            ("tree", pass.trees),
            ("log", pass.logs),
            ("project", pass.projects),
        ];
        for (what, count) in dropped {
            self.dropped.with_label_values(&[what]).inc_by(count);
        }
        for (kind, count) in &pass.deletion.failures {
            self.failures.with_label_values(&[kind]).inc_by(*count);
        }
        self.pass_seconds.set(took.as_secs_f64());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.last_pass.set(now.as_secs_f64());
    }

    /// All objects there are; every state is set, so that an empty one reads 0.
    pub(crate) fn counted(&self, states: &[StateCount]) {
        for kind in ObjectKind::ALL.map(ObjectKind::as_str) {
            for state in STATES {
                let found = states.iter().find(|count| count.kind == kind && count.state == state);
                let tally = found.map(|count| count.tally).unwrap_or_default();
                let set = |gauge: &IntGaugeVec, value| {
                    gauge.with_label_values(&[kind, state]).set(i64::try_from(value).unwrap_or(i64::MAX));
                };
                set(&self.objects, tally.objects);
                set(&self.bytes, tally.bytes);
            }
        }
        self.suspects.set(states.iter().map(|count| count.suspects).sum());
        self.revivals.set(states.iter().map(|count| count.revivals).sum());
    }
}
