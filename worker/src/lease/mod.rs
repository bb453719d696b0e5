//! The lease: this worker's right to its attempts. Kept by a thread with a runtime and a database connection of its own, so
//! that neither busy agents nor a full pool delay it. Renewed every sixth of its length on the database's clock; watched on
//! the boot-time clock, counted from before a renewal leaves. A worker that cannot renew freezes its agents before anybody
//! else may start them, and lets them go on or kills them when it learns whose they are.

mod keeper;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use drydock_database::{
    Database, DatabaseError,
    wake::Waker,
    worker::{self, NewWorker},
};
use drydock_domain::{AttemptId, WorkerId};
use drydock_runtime::{
    Shutdown,
    exit::{Exit, chain},
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{cordon::Cordon, metrics::WorkerMetrics, running::Running};
use keeper::Keeper;

/// Priority of the lease's thread (`setpriority(2)`), where the system permits it.
const PRIORITY: i32 = -10;

/// Who this process is at the moment: a new worker after its row was ended.
pub(crate) type Identity = watch::Receiver<WorkerId>;

/// What happens to running agents when the lease cannot be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnLostContact {
    /// They are stopped until it is known whose they are.
    Freeze,
    /// They are killed, and their jobs run again.
    Kill,
}

/// How the lease is kept.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) ttl: Duration,
    pub(crate) on_lost_contact: OnLostContact,
    /// Longest time agents stay frozen.
    pub(crate) freeze_limit: Duration,
}

/// What the lease works on.
pub(crate) struct Setup {
    pub(crate) terms: Terms,
    pub(crate) database: Database,
    /// How this process introduces itself; each start gets an id of its own.
    pub(crate) describe: Box<dyn Fn(WorkerId) -> NewWorker + Send>,
    pub(crate) running: Running,
    pub(crate) cordon: Cordon,
    pub(crate) waker: Waker,
    pub(crate) metrics: WorkerMetrics,
    /// Attempts that are ours, and nobody runs them.
    pub(crate) unknown: mpsc::UnboundedSender<AttemptId>,
}

/// The running lease. Ends with [`Self::release`], not with the orderly stop: what is handed back needs it.
pub(crate) struct Lease {
    renew: Arc<Notify>,
    release: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Lease {
    /// Registers this process as a worker and keeps its lease; if the thread should break, `shutdown` begins.
    ///
    /// # Errors
    /// The database does not answer, or no thread can be had.
    pub(crate) async fn take(setup: Setup, shutdown: &Shutdown) -> Result<(Self, Identity), Exit> {
        let (renew, release) = (Arc::new(Notify::new()), CancellationToken::new());
        let (registered, registration) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        let (hint, stop, shutdown) = (renew.clone(), release.clone(), shutdown.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Exit::Failure(error.into()))?;
        let thread = move || {
            let _told_when_dropped = alive;
            raise_priority();
            runtime.block_on(keep(setup, registered, stop.clone(), hint));
            if !stop.is_cancelled() {
                shutdown.fail();
            }
        };
        let thread = std::thread::Builder::new().name("lease".to_owned()).spawn(thread);
        thread.map_err(|error| Exit::Failure(error.into()))?;
        let identity = registration.await.map_err(|broken| Exit::Failure(broken.into()))??;
        Ok((Self { renew, release, ended }, identity))
    }

    /// For whoever hears that a renewal would bring news.
    pub(crate) fn renew_now(&self) -> Arc<Notify> {
        self.renew.clone()
    }

    /// Stops renewing.
    pub(crate) async fn release(self) {
        self.release.cancel();
        let _dropped = self.ended.await;
    }
}

async fn keep(
    setup: Setup,
    registered: oneshot::Sender<Result<Identity, DatabaseError>>,
    stop: CancellationToken,
    hint: Arc<Notify>,
) {
    match Keeper::register(setup).await {
        Ok((keeper, identity)) => {
            // Whoever asked may be gone: then it stops at once.
            let _gone = registered.send(Ok(identity));
            keeper.keep(stop, hint).await;
        }
        Err(error) => drop(registered.send(Err(error))),
    }
}

/// Of this thread alone: on Linux each thread has its own (setpriority(2), "C library/kernel differences").
fn raise_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, PRIORITY) {
        tracing::debug!(%error, "the lease's thread keeps its ordinary priority");
    }
}

/// Ends the worker's row in order.
pub(crate) async fn end(database: &Database, id: WorkerId) {
    let ended = async { worker::end(&database.client().await?, id).await };
    if let Err(error) = ended.await {
        tracing::warn!("failed to end the worker: {}", chain(&error));
    }
}
