//! Metrics of all services, over all their lives: a counter starts at 0 with each process, so what each was last seen at adds up.
//! What a killed process counted after the last look is not seen: sums are lower bounds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    fleet::{Fleet, Service},
    http,
};

const PERIOD: Duration = Duration::from_millis(250);

/// What was seen: service and start, then series and value.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    seen: Arc<Mutex<Seen>>,
}

type Seen = BTreeMap<(String, u32), BTreeMap<String, f64>>;

impl Metrics {
    /// Looks at every service again and again, until dropped.
    pub(crate) async fn keep(self, fleet: Arc<Fleet>) {
        loop {
            self.look(&fleet).await;
            sleep(PERIOD).await;
        }
    }

    /// Looks at every service once.
    pub(crate) async fn look(&self, fleet: &Fleet) {
        futures_util::future::join_all(fleet.services().iter().map(|service| self.scrape(service))).await;
    }

    async fn scrape(&self, service: &Service) {
        let life = (service.name.clone(), service.starts());
        let asked = http::client().get(format!("{}/metrics", service.admin)).timeout(PERIOD * 2).send().await;
        let Ok(answer) = asked else { return };
        let Ok(text) = answer.text().await else { return };
        // An answer of the one before would be counted twice.
        if life.1 == service.starts() {
            self.seen().insert(life, parse(&text));
        }
    }

    /// The sum of all series of `name` whose labels hold `label`.
    pub(crate) fn total(&self, name: &str, label: &str) -> u64 {
        let seen = self.seen();
        let series = seen.values().flatten().filter(|(series, _)| {
            let (own, labels) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.contains(label)
        });
        let sum: f64 = series.map(|(_, value)| value).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counters are small and not negative"
        )]
        let sum = sum.round() as u64;
        sum
    }

    /// All of it, for the evidence.
    pub(crate) fn text(&self) -> String {
        let seen = self.seen();
        let lines = seen.iter().flat_map(|((service, start), series)| {
            series.iter().map(move |(series, value)| format!("{service} start {start}: {series} {value}\n"))
        });
        lines.collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prometheus' text format: `name{labels} value`, comments aside.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && line.starts_with("drydock_"));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_services_starts_and_labels() {
        let metrics = Metrics::default();
        let text =
            "# HELP drydock_x x\ndrydock_x{outcome=\"lost\"} 2\ndrydock_x{outcome=\"ok\"} 5\nother 7\ndrydock_xy 9\n";
        metrics.seen().insert(("worker-1".to_owned(), 1), parse(text));
        metrics.seen().insert(("worker-1".to_owned(), 2), parse("drydock_x{outcome=\"lost\"} 1\n"));
        assert_eq!(metrics.total("drydock_x", "outcome=\"lost\""), 3);
        assert_eq!(metrics.total("drydock_x", ""), 8);
    }
}
