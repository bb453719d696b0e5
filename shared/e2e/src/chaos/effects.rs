//! How often what the faults are for really happened. A run in which one of them never happened has proved nothing about it.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use uuid::Uuid;

use super::{
    clients::Ledger,
    clock::Millis,
    faults::Outage,
    fleet::{Fleet, Link, Service},
    history::{Attempt, History},
    scrape::Metrics,
};

/// Longest silence of a living agent: its beat, and a machine that is busy.
const SILENCE: Millis = 300;

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Its name.
    pub(crate) name: &'static str,
    /// How often it was seen.
    pub(crate) count: u64,
    /// Whether a run without it fails.
    pub(crate) required: bool,
}

/// Where effects are seen.
pub(crate) struct Seen<'a> {
    /// The run.
    pub(crate) history: &'a History,
    /// What clients know.
    pub(crate) ledger: &'a Ledger,
    /// The services' own counts.
    pub(crate) metrics: &'a Metrics,
    /// The services.
    pub(crate) fleet: &'a Fleet,
    /// When workers could not go on.
    pub(crate) outages: &'a [Outage],
    /// Stale tickets that were sent.
    pub(crate) stale_sent: u64,
    /// Whether this API can cancel.
    pub(crate) can_cancel: bool,
}

impl Seen<'_> {
    /// Counts all effects.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        let required = |name, count| Effect { name, count, required: true };
        let told = |name, count| Effect { name, count, required: false };
        let withheld = self.fleet.services().iter().map(|service| service.link(Link::Postgres).replies_cut()).sum();
        let canceled = self.history.jobs.iter().filter(|job| job.state == "canceled").count() as u64;
        vec![
            required("killed while running", self.killed_while_running()),
            required("ambiguous commit", withheld),
            required("fenced", self.metrics.total("drydock_worker_attempts_total", "outcome=\"lost\"")),
            required("conflict", self.attempts("conflict")),
            required("redispatched", self.metrics.total("drydock_dispatcher_tickets_redispatched_total", "")),
            required("reaped", self.attempts("lost")),
            required("resumed", self.resumed()),
            required("interrupted", self.attempts("interrupted")),
            Effect { name: "cancelled", count: canceled, required: self.can_cancel },
            required("stale tickets", self.stale_sent),
            told("accepted in doubt", self.ledger.counts.replayed_after_doubt.load(Ordering::Relaxed)),
            told("finished in doubt", self.metrics.total("drydock_worker_finish_retries_total", "")),
            told("requests retried", self.ledger.counts.retried.load(Ordering::Relaxed)),
            told("agents frozen", self.metrics.total("drydock_worker_agents_frozen_total", "")),
            told("agents thawed", self.metrics.total("drydock_worker_agents_thawed_total", "")),
            told("results kept on disk", self.metrics.total("drydock_worker_results_kept_total", "")),
            told("storage faults", self.attempts("infra")),
            told("tickets returned", self.metrics.total("drydock_amqp_tickets_returned_total", "")),
            told("tickets unconfirmed", self.metrics.total("drydock_amqp_tickets_unconfirmed_total", "")),
            told("broker reconnects", self.metrics.total("drydock_amqp_reconnects_total", "")),
            told("lead changes", self.metrics.total("drydock_dispatcher_leader_transitions_total", "")),
            told("starts given up", self.fleet.services().iter().map(Service::gave_up).sum()),
            told("dead jobs", self.history.jobs.iter().filter(|job| job.state == "dead").count() as u64),
        ]
    }

    fn attempts(&self, state: &str) -> u64 {
        self.history.attempts.iter().filter(|attempt| attempt.state == state).count() as u64
    }

    /// Attempts whose agent was at work when its worker was killed or froze for good, and that were lost with it.
    fn killed_while_running(&self) -> u64 {
        let mut lives: BTreeMap<Uuid, (Millis, Millis)> = BTreeMap::new();
        for line in &self.history.lines {
            let (from, until) = lives.entry(line.attempt).or_insert((line.at, line.at));
            (*from, *until) = ((*from).min(line.at), (*until).max(line.at));
        }
        let killed = |attempt: &&Attempt| {
            lives.get(&attempt.id).is_some_and(|(from, until)| {
                let mut helpless = self.history.helpless.iter().filter(|it| it.worker == attempt.worker);
                helpless.any(|it| it.killed && *from <= it.from && it.from <= *until + SILENCE)
            })
        };
        self.history.attempts.iter().filter(|attempt| attempt.state == "lost").filter(killed).count() as u64
    }

    /// Attempts that succeeded although their worker could not reach `PostgreSQL`, or was frozen, for a while of their life.
    fn resumed(&self) -> u64 {
        let through = |attempt: &&Attempt| {
            let of_worker = |outage: &&Outage| outage.worker.as_ref().is_none_or(|worker| *worker == attempt.worker);
            let mut outages = self.outages.iter().filter(of_worker);
            outages.any(|outage| {
                attempt.started < outage.from && attempt.finished.is_some_and(|finished| finished > outage.until)
            })
        };
        self.history.attempts.iter().filter(|attempt| attempt.state == "succeeded").filter(through).count() as u64
    }
}

/// Effects that had to happen and did not.
pub(crate) fn missing(effects: &[Effect]) -> Vec<&'static str> {
    effects.iter().filter(|effect| effect.required && effect.count == 0).map(|effect| effect.name).collect()
}
