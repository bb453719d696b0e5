//! From ticket to claimed job. A slot first, then a ticket; acknowledged right after the durable claim. The ticket that fills
//! the last slot is held as the brake: with prefetch 1 nothing else can arrive, so a full worker hoards nothing. Held too
//! long, the consumer ends instead, and starts anew when a slot frees.

use std::{future::Future, sync::Arc, time::Duration};

use drydock_database::{
    DatabaseError,
    job::{self, Claimed},
};
use drydock_domain::{AttemptId, Ticket};
use drydock_queue::{Broker, Delivery, QueueError, Subscription};
use drydock_runtime::{Backoff, Shutdown, exit::chain, tasks};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use crate::{context::Context, job::Attempt, lease::Identity, workspace::WorkspaceError};

/// How long a claim is tried before the ticket is given back to the broker by closing the channel.
const CLAIM_PATIENCE: Duration = Duration::from_secs(30);
/// How long a job waits that this worker cannot run.
const UNSUITED_PAUSE: Duration = Duration::from_secs(1);

/// The intake of one worker.
pub(crate) struct Intake {
    context: Context,
    broker: Broker,
    identity: Identity,
    slots: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Why a subscription is left.
#[derive(Debug, thiserror::Error)]
enum Leave {
    #[error("the broker ended the subscription")]
    Ended,
    #[error("all slots were busy for long")]
    Full,
    #[error("stopping")]
    Stopping,
    #[error("the broker failed")]
    Queue(#[from] QueueError),
    #[error("no scratch directory could be made")]
    Scratch(#[from] WorkspaceError),
    #[error("a claim failed")]
    Database(#[from] DatabaseError),
}

impl Intake {
    pub(crate) fn new(context: Context, broker: Broker, identity: Identity, shutdown: Shutdown) -> Self {
        let slots = Arc::new(Semaphore::new(context.config.slots().into()));
        context.metrics.slots.set(context.config.slots().into());
        Self { context, broker, identity, slots, shutdown }
    }

    /// Takes tickets until the worker stops. A claim under way is always seen to its end: whoever claims must run or finish.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let left = match self.unless_stopping(self.slot()).await {
                Ok(slot) => self.subscribed(slot, &mut backoff).await,
                Err(left) => left,
            };
            match left {
                Leave::Stopping => return,
                Leave::Full => {}
                Leave::Ended | Leave::Queue(_) | Leave::Scratch(_) | Leave::Database(_) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(retry_ms = delay.as_millis(), "lost the subscription: {}", chain(&left));
                    let _stopping = self.unless_stopping(tokio::time::sleep(delay)).await;
                }
            }
        }
    }

    async fn unless_stopping<T>(&self, wait: impl Future<Output = T>) -> Result<T, Leave> {
        tokio::select! {
            biased;
            () = self.shutdown.triggered() => Err(Leave::Stopping),
            value = wait => Ok(value),
        }
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        self.slots.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    async fn subscribed(&self, slot: OwnedSemaphorePermit, backoff: &mut Backoff) -> Leave {
        let mut subscription = match self.broker.subscribe(&self.context.config.pool).await {
            Ok(subscription) => subscription,
            Err(error) => return error.into(),
        };
        backoff.reset();
        let left = self.consume(&mut subscription, slot).await.unwrap_or_else(|left| left);
        subscription.close().await;
        left
    }

    async fn consume(&self, subscription: &mut Subscription, mut slot: OwnedSemaphorePermit) -> Result<Leave, Leave> {
        loop {
            let Some(delivery) = self.unless_stopping(subscription.next()).await?? else {
                return Ok(Leave::Ended);
            };
            slot = self.take(delivery, slot).await?;
        }
    }

    /// Claims a delivery's job and starts it; answers the slot for the next one.
    async fn take(&self, delivery: Delivery, slot: OwnedSemaphorePermit) -> Result<OwnedSemaphorePermit, Leave> {
        let Some(attempt) = self.claim(&delivery.ticket).await? else {
            delivery.ack().await?;
            return Ok(slot);
        };
        self.start(attempt, slot);
        if let Ok(next) = self.slots.clone().try_acquire_owned() {
            delivery.ack().await?;
            return Ok(next);
        }
        let brake = tokio::time::timeout(self.context.config.brake_timeout, self.slot());
        let freed = self.unless_stopping(brake).await;
        delivery.ack().await?;
        freed?.map_err(|_| Leave::Full)
    }

    /// `None`: nothing to do with this ticket.
    async fn claim(&self, ticket: &Ticket) -> Result<Option<Attempt>, Leave> {
        let id = AttemptId::generate();
        // Before the claim: a full disk must not cost a job an attempt.
        let scratch = self.context.scratch.create(id)?;
        match self.ask(ticket, id, &scratch.workspace().display().to_string()).await? {
            Claimed::Mine(claim) => Ok(Some(Attempt::new(&self.context, ticket.job, id, *claim, scratch))),
            Claimed::Stale => Ok(None),
            // Unacknowledged, it goes to another worker once this subscription closes.
            Claimed::Refused => Err(Leave::Ended),
            Claimed::Unsuited => {
                let client = self.context.database.client().await?;
                job::return_ticket(&client, ticket, UNSUITED_PAUSE).await?;
                Ok(None)
            }
        }
    }

    /// Asks until the database answers; the attempt's id makes a repeated question harmless.
    async fn ask(&self, ticket: &Ticket, id: AttemptId, path: &str) -> Result<Claimed, DatabaseError> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let deadline = tokio::time::Instant::now() + CLAIM_PATIENCE;
        loop {
            let worker = *self.identity.borrow();
            let asked = async { job::claim(&self.context.database.client().await?, ticket, id, worker, path).await };
            match asked.await {
                Err(error) if error.is_unavailable() && tokio::time::Instant::now() < deadline => {
                    tracing::warn!(job = %ticket.job, "failed to claim, trying again: {}", chain(&error));
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                Err(error) => {
                    self.context.running.doubt(ticket.job, id);
                    return Err(error);
                }
                answer => return answer,
            }
        }
    }

    fn start(&self, attempt: Attempt, slot: OwnedSemaphorePermit) {
        let gauge = self.context.metrics.slots_in_use.clone();
        gauge.inc();
        let span = tracing::info_span!("job", job.id = %attempt.job, project.id = %attempt.claim.spec.project_id,
            attempt = attempt.claim.number, attempt.id = %attempt.id);
        let run = async move {
            Box::pin(attempt.run()).await;
            gauge.dec();
            drop(slot);
        };
        tasks::spawn("job", self.context.tasks.track_future(run.instrument(span)));
    }
}
