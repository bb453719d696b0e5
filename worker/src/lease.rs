//! The lease: this worker's right to its attempts. Renewed every sixth of its length on the database's clock; watched on the
//! boot-time clock, counted from before a renewal leaves. A worker that cannot renew stops its agents before anybody else
//! may start them.

use std::time::Duration;

use drydock_database::{Database, DatabaseError, wake::Channel, worker};
use drydock_domain::WorkerId;
use drydock_runtime::Shutdown;
use tokio::sync::watch;

use crate::{
    boottime::BootInstant,
    context::Context,
    running::{Running, Stop},
};

/// Phases are told at most this often, so that short jobs cost no renewals.
const PHASE_PAUSE: Duration = Duration::from_millis(250);

/// Who this process is at the moment: a new worker after its row was ended.
pub(crate) type Identity = watch::Receiver<WorkerId>;

/// The task that keeps the lease.
pub(crate) struct Lease {
    context: Context,
    identity: watch::Sender<WorkerId>,
    renewed: BootInstant,
}

impl Lease {
    /// Registers this process as a worker.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn take(context: Context) -> Result<(Self, Identity), DatabaseError> {
        let asked = BootInstant::now();
        let id = register(&context).await?;
        let (identity, receiver) = watch::channel(id);
        Ok((Self { context, identity, renewed: asked }, receiver))
    }

    /// Keeps the lease until `shutdown` is forced.
    pub(crate) async fn keep(mut self, shutdown: Shutdown) {
        let interval = self.context.config.lease_ttl / 6;
        loop {
            tokio::select! {
                () = shutdown.forced() => return,
                () = tokio::time::sleep(interval) => {}
                () = told_phase(&self.context.running) => {}
            }
            let limit = self.patience().max(Duration::from_millis(100)).min(interval.max(Duration::from_secs(1)));
            match tokio::time::timeout(limit, self.renew()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("failed to renew the lease: {}", drydock_runtime::exit::chain(&error)),
                Err(_) => tracing::warn!(after_ms = limit.as_millis(), "failed to renew the lease: no answer in time"),
            }
            if self.patience().is_zero() && self.context.running.len() > 0 {
                tracing::error!("the lease ran out without a renewal: stopping all agents");
                self.context.running.stop_all(Stop::Lost);
            }
        }
    }

    /// What is left of the time this worker may go on without a renewal: five sixths of the lease.
    fn patience(&self) -> Duration {
        (self.context.config.lease_ttl * 5 / 6).saturating_sub(self.renewed.elapsed())
    }

    async fn renew(&mut self) -> Result<(), DatabaseError> {
        let asked_at = BootInstant::now();
        let asked = self.context.running.phases();
        let id = *self.identity.borrow();
        let client = self.context.database.client().await?;
        let renewed = worker::renew(&client, id, self.context.config.lease_ttl, &asked).await?;
        self.renewed = asked_at;
        if !asked.is_empty() {
            self.context.waker.wake(Channel::Events);
        }
        if renewed.live {
            self.context.running.reconcile(&asked, &renewed.owned);
            return Ok(());
        }
        tracing::error!(worker = %id, "this worker was declared over: stopping its agents and starting as a new one");
        self.context.running.stop_all(Stop::Lost);
        let id = register(&self.context).await?;
        self.identity.send_replace(id);
        Ok(())
    }
}

async fn told_phase(running: &Running) {
    tokio::time::sleep(PHASE_PAUSE).await;
    running.phase_changed().await;
}

async fn register(context: &Context) -> Result<WorkerId, DatabaseError> {
    let worker = context.describe(WorkerId::generate());
    worker::start(&context.database.client().await?, &worker, context.config.lease_ttl).await?;
    tracing::info!(worker = %worker.id, instance = worker.instance, pool = worker.pool, slots = worker.slots,
        agents = worker.agents.join(","), isolation = %worker.isolation, rung = worker.rung, "registered");
    Ok(worker.id)
}

/// Ends the worker's row in order.
pub(crate) async fn end(database: &Database, id: WorkerId) {
    let ended = async { worker::end(&database.client().await?, id).await };
    if let Err(error) = ended.await {
        tracing::warn!("failed to end the worker: {}", drydock_runtime::exit::chain(&error));
    }
}
