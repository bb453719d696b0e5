//! What the lease's thread does: renew, and watch the time since the last renewal that worked. Both take turns on one
//! thread, so that a decision to freeze and a reply that thaws never overlap.

use std::{cell::Cell, sync::Arc, time::Duration};

use drydock_database::{
    DatabaseError, pool,
    wake::Channel,
    worker::{self, Renewed},
};
use drydock_domain::WorkerId;
use drydock_runtime::exit::chain;
use rand::RngExt as _;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Identity, OnLostContact, Setup};
use crate::{
    boottime::BootInstant,
    running::{Asked, Running, Stop},
};

/// Phases are told at most this often, so that short jobs cost no renewals.
const PHASE_PAUSE: Duration = Duration::from_millis(250);
/// Hints are heeded at most this often.
const HINT_PAUSE: Duration = Duration::from_millis(20);
/// Least time a renewal gets, however short the lease is.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// Looks at the clock in the time of one lease, at least one a second. Timers do not count time that the host slept.
const LOOKS: u32 = 60;

pub(super) struct Keeper {
    setup: Setup,
    identity: watch::Sender<WorkerId>,
    frozen_since: Cell<Option<BootInstant>>,
}

/// Why a renewal brought nothing.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl Keeper {
    pub(super) async fn register(mut setup: Setup) -> Result<(Self, Identity), DatabaseError> {
        setup.database = setup.database.for_leases();
        let id = register(&setup).await?;
        let (identity, receiver) = watch::channel(id);
        Ok((Self { setup, identity, frozen_since: Cell::new(None) }, receiver))
    }

    /// Keeps the lease until `stop`.
    pub(super) async fn keep(self, stop: CancellationToken, hint: Arc<Notify>) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.renew_for_ever(&hint) => {}
            () = self.watch_for_ever() => {}
        }
    }

    async fn renew_for_ever(&self, hint: &Notify) {
        let interval = self.setup.terms.ttl / worker::RENEWALS;
        let mut pause = jittered(interval, 0.1);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hinted(hint) => {}
                () = told_phase(&self.setup.running) => {}
            }
            pause = match self.renew(interval.max(LEAST_PATIENCE)).await {
                Ok(()) => jittered(interval, 0.1),
                Err(error) => {
                    self.setup.metrics.outages.renewals_missed.inc();
                    tracing::warn!("failed to renew the lease: {}", chain(&error));
                    // All workers lose a database at the same moment, and shall not come back at the same one.
                    jittered(interval / 4, 0.5)
                }
            };
        }
    }

    async fn renew(&self, patience: Duration) -> Result<(), Missed> {
        let id = *self.identity.borrow();
        let asked_at = BootInstant::now();
        let asked = self.setup.running.ask();
        let answer = self.ask(id, &asked, patience).await?;
        if !asked.news.is_empty() {
            self.setup.waker.wake(Channel::Events);
        }
        if answer.live {
            self.setup.cordon.set(answer.drained);
            self.heed(asked_at, &asked, &answer);
            return Ok(());
        }
        tracing::error!(worker = %id, "this worker was declared over: killing its agents and starting as a new one");
        self.kill();
        let id = register(&self.setup).await?;
        self.identity.send_replace(id);
        Ok(())
    }

    async fn ask(&self, id: WorkerId, asked: &Asked, patience: Duration) -> Result<Renewed, Missed> {
        let deadline = tokio::time::Instant::now() + patience;
        let late = |_| Missed::Late(patience);
        let client = tokio::time::timeout_at(deadline, self.setup.database.client()).await.map_err(late)??;
        let renewing = worker::renew(&client, id, self.setup.terms.ttl, &asked.news);
        let answer = tokio::time::timeout_at(deadline, renewing).await;
        if !matches!(answer, Ok(Ok(_))) {
            // Whatever it still waits for would hold up the next renewal.
            pool::discard(client);
        }
        Ok(answer.map_err(late)??)
    }

    /// The lease stands, counted from when the renewal left. An answer that was long on its way (this process slept) may be
    /// true no more: it takes attempts away, but lets nothing go on.
    fn heed(&self, asked_at: BootInstant, asked: &Asked, answer: &Renewed) {
        let running = &self.setup.running;
        running.deadline.put_off(asked_at, self.setup.terms.ttl * 5 / 6);
        let heeded = running.heed(asked, &answer.owned);
        running.release(&answer.released);
        if heeded.lost > 0 {
            tracing::warn!(attempts = heeded.lost, "attempts were taken back meanwhile: killing their agents");
            self.setup.metrics.outages.agents_killed.inc_by(heeded.lost as u64);
        }
        for unknown in heeded.unknown {
            // Nobody takes them in a worker that ends; the dispatcher then does.
            let _ending = self.setup.unknown.send(unknown);
        }
        if running.deadline.left().is_zero() {
            return;
        }
        if let Some(since) = self.frozen_since.take() {
            let thawed = running.thaw_all();
            self.setup.metrics.outages.agents_thawed.inc_by(thawed as u64);
            tracing::warn!(
                attempts = thawed,
                after_ms = since.elapsed().as_millis(),
                "the lease is renewed: what is still ours goes on"
            );
        }
    }

    async fn watch_for_ever(&self) {
        let tick = (self.setup.terms.ttl / LOOKS).min(Duration::from_secs(1));
        loop {
            tokio::time::sleep(tick).await;
            if self.setup.running.deadline.left().is_zero() {
                self.without_lease();
            }
        }
    }

    /// Safe to repeat: what registered meanwhile is frozen too.
    fn without_lease(&self) {
        let (terms, running) = (&self.setup.terms, &self.setup.running);
        if terms.on_lost_contact == OnLostContact::Kill {
            return self.kill();
        }
        match self.frozen_since.get() {
            Some(since) if since.elapsed() >= terms.freeze_limit => return self.kill(),
            Some(_) => {}
            None if running.len() == 0 => return,
            None => self.frozen_since.set(Some(BootInstant::now())),
        }
        let frozen = running.freeze_all();
        if frozen > 0 {
            self.setup.metrics.outages.agents_frozen.inc_by(frozen as u64);
            tracing::error!(attempts = frozen, "the lease ran out without a renewal: agents are frozen");
        }
    }

    fn kill(&self) {
        let killed = self.setup.running.stop_all(Stop::Lost);
        if killed > 0 {
            self.setup.metrics.outages.agents_killed.inc_by(killed as u64);
            tracing::error!(attempts = killed, "killing all agents: the lease is gone");
        }
    }
}

async fn hinted(hint: &Notify) {
    tokio::time::sleep(HINT_PAUSE).await;
    hint.notified().await;
}

async fn told_phase(running: &Running) {
    tokio::time::sleep(PHASE_PAUSE).await;
    running.phase_changed().await;
}

async fn register(setup: &Setup) -> Result<WorkerId, DatabaseError> {
    let asked_at = BootInstant::now();
    let worker = (setup.describe)(WorkerId::generate());
    let client = setup.database.client().await?;
    worker::start(&client, &worker, setup.terms.ttl).await?;
    if setup.cordon.is_up() {
        // The same process, under another id: what it was asked still holds.
        worker::ask_to_drain(&client, worker.id, true).await?;
    }
    setup.running.deadline.put_off(asked_at, setup.terms.ttl * 5 / 6);
    tracing::info!(worker = %worker.id, instance = worker.instance, pool = worker.pool, slots = worker.slots,
        agents = worker.agents.join(","), isolation = %worker.isolation, rung = worker.rung, "registered");
    Ok(worker.id)
}

/// Uniform within `share` of `mean` either way.
fn jittered(mean: Duration, share: f64) -> Duration {
    mean.mul_f64(rand::rng().random_range(1.0 - share..=1.0 + share))
}
