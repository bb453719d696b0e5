//! From ticket to claimed job. A slot first, then a ticket; acknowledged right after the durable claim. As many tickets can
//! arrive as slots were set aside for them (the prefetch), and a ticket is acknowledged once the next slot is set aside: the
//! last ones are held as the brake, claimed already, so a full worker hoards nothing. Held too long, the consumer ends
//! instead, and starts anew when a slot frees. Where tickets stay away, PostgreSQL is asked for them.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drydock_database::{
    job::{self, Claimed},
    wake::Channel,
};
use drydock_domain::{AttemptId, Ticket};
use drydock_queue::{Broker, Delivery, Subscription};
use drydock_runtime::{Backoff, Shutdown, exit::chain, tasks};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rand::RngExt as _;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{claims::Claims, context::Context, job::Attempt, lease::Identity, leave::Leave, offers::Offers};

/// Claims under way at the same time: each waits for its commit most of its time.
const CLAIMS: usize = 16;
/// How long a job waits that this worker cannot run.
const UNSUITED_PAUSE: Duration = Duration::from_secs(1);
/// Between two questions to PostgreSQL while RabbitMQ brings nothing.
const PULL_PAUSE: Duration = Duration::from_secs(1);

/// The intake of one worker.
pub(crate) struct Intake {
    context: Context,
    broker: Broker,
    identity: Identity,
    /// Asks what this worker is to do, at once.
    renew: Arc<Notify>,
    claims: Claims,
    offers: Offers,
    slots: Arc<Semaphore>,
    shutdown: Shutdown,
    /// Since when there is no subscription.
    away: Mutex<Option<Instant>>,
}

type Slot = OwnedSemaphorePermit;

impl Intake {
    pub(crate) fn new(
        context: Context,
        broker: Broker,
        (identity, renew): (Identity, Arc<Notify>),
        offers: Offers,
        shutdown: Shutdown,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(context.config.slots().into()));
        context.metrics.slots.set(context.config.slots().into());
        let claims = Claims::start(&context.database, context.config.slots(), &identity, &shutdown);
        Self { context, broker, identity, renew, claims, offers, slots, shutdown, away: Mutex::default() }
    }

    /// Takes tickets until the worker stops. A claim under way is always seen to its end: whoever claims must run or finish.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let left = match self.unless_stopping(self.ready()).await {
                Ok(slot) => self.subscribed(slot, &mut backoff).await,
                Err(left) => left,
            };
            match left {
                Leave::Stopping => return,
                Leave::Full | Leave::Storage | Leave::Drained => {}
                Leave::Ended | Leave::Refused | Leave::Queue(_) | Leave::Scratch(_) | Leave::Database(_) => {
                    if matches!(left, Leave::Refused) {
                        self.renew.notify_one();
                    }
                    let delay = backoff.next_delay();
                    tracing::warn!(retry_ms = delay.as_millis(), "lost the subscription: {}", chain(&left));
                    let _stopping = self.pulling(&mut Vec::new(), tokio::time::sleep(delay)).await;
                }
            }
        }
    }

    /// A slot, and the means to use it.
    async fn ready(&self) -> Slot {
        while self.is_closed() {
            self.context.metrics.slots.set(0);
            tokio::join!(self.context.breaker.closed(), self.context.cordon.lifted());
        }
        self.context.metrics.slots.set(self.context.config.slots().into());
        self.slot().await
    }

    /// Whether no jobs are taken: storage is away, or the worker is asked to drain.
    fn is_closed(&self) -> bool {
        self.context.breaker.reason().is_some() || self.context.cordon.is_up()
    }

    async fn unless_stopping<T>(&self, wait: impl Future<Output = T>) -> Result<T, Leave> {
        tokio::select! {
            biased;
            () = self.shutdown.triggered() => Err(Leave::Stopping),
            value = wait => Ok(value),
        }
    }

    async fn slot(&self) -> Slot {
        self.slots.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    async fn subscribed(&self, slot: Slot, backoff: &mut Backoff) -> Leave {
        let mut seats = vec![slot];
        self.set_aside(&mut seats, CLAIMS);
        let mut prefetch = seats.len();
        let subscribing = self.pulling(&mut seats, self.broker.subscribe(&self.context.config.pool, prefetch));
        let mut subscription = match subscribing.await {
            Ok(Ok(subscription)) => subscription,
            Ok(Err(error)) => return error.into(),
            Err(left) => return left,
        };
        backoff.reset();
        *self.away() = None;
        let left = loop {
            // Pulled and offered jobs may have taken some.
            self.set_aside(&mut seats, prefetch);
            let left = self.consume(&mut subscription, seats, prefetch).await;
            self.cancel(&mut subscription).await;
            // A connection costs more than it takes to keep one until a slot frees.
            seats = match left {
                Leave::Full => match self.unless_stopping(self.ready()).await {
                    Ok(slot) => vec![slot],
                    Err(left) => break left,
                },
                left => break left,
            };
            self.set_aside(&mut seats, CLAIMS);
            prefetch = seats.len();
            if let Err(error) = subscription.resume(prefetch).await {
                break error.into();
            }
        };
        subscription.close().await;
        left
    }

    /// No more tickets; those that came already go to others.
    async fn cancel(&self, subscription: &mut Subscription) {
        for delivery in subscription.cancel().await {
            if let Err(error) = self.hand_back(delivery).await {
                tracing::debug!("failed to hand a ticket back, it comes again: {}", chain(&error));
            }
        }
    }

    /// Fills up to `most` slots for tickets to come, as far as there are any.
    fn set_aside(&self, seats: &mut Vec<Slot>, most: usize) {
        while seats.len() < most
            && let Ok(slot) = self.slots.clone().try_acquire_owned()
        {
            seats.push(slot);
        }
    }

    /// Takes tickets until there is a reason not to; claims under way are then seen to their end.
    async fn consume(&self, subscription: &mut Subscription, mut seats: Vec<Slot>, prefetch: usize) -> Leave {
        let leaving = CancellationToken::new();
        let (mut taking, mut accepting) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut quiet_at = Instant::now() + jittered(self.context.config.pull_after);
        let left = loop {
            // More tickets may come than there are slots for: offers and pulled jobs took some.
            if seats.is_empty() && accepting.is_empty() && taking.len() < prefetch {
                break Leave::Full;
            }
            tokio::select! {
                biased;
                () = self.shutdown.triggered() => break Leave::Stopping,
                Some(accepted) = accepting.next() => match accepted {
                    // Others may have it where there are enough.
                    Ok(Some(unused)) if seats.len() + taking.len() < prefetch => seats.push(unused),
                    Ok(_) => {}
                    Err(left) => break left,
                },
                Some(taken) = taking.next() => match taken {
                    Ok(slot) => seats.push(slot),
                    Err(left) => break left,
                },
                () = self.context.breaker.opened() => break Leave::Storage,
                () = self.context.cordon.raised() => break Leave::Drained,
                offer = self.offers.next(), if !seats.is_empty() => accepting.extend(self.accept(offer, &mut seats)),
                next = subscription.next() => {
                    quiet_at = Instant::now() + jittered(self.context.config.pull_after);
                    let delivery = match next {
                        Ok(Some(delivery)) => delivery,
                        Ok(None) => break Leave::Ended,
                        Err(error) => break error.into(),
                    };
                    let Some(slot) = seats.pop() else {
                        break self.hand_back(delivery).await.err().unwrap_or(Leave::Full);
                    };
                    taking.push(self.take(delivery, slot, &leaving));
                }
                () = tokio::time::sleep_until(quiet_at) => {
                    let found = self.pull(&mut seats).await;
                    let patience = if found { PULL_PAUSE } else { self.context.config.pull_after };
                    quiet_at = Instant::now() + jittered(patience);
                    self.set_aside(&mut seats, prefetch - taking.len());
                }
            }
        };
        leaving.cancel();
        taking.for_each(async |_ended| ()).await;
        accepting.for_each(async |_ended| ()).await;
        left
    }

    /// Claims an offered job, if it may; answers the slot if it was in vain.
    fn accept<'a>(
        &'a self,
        offer: Ticket,
        seats: &mut Vec<Slot>,
    ) -> Option<impl Future<Output = Result<Option<Slot>, Leave>> + use<'a>> {
        if self.is_closed() {
            self.offers.metrics.declined.inc();
            return None;
        }
        // Those that are not set aside first.
        let slot = self.slots.clone().try_acquire_owned().ok().or_else(|| seats.pop())?;
        Some(async move {
            let Some(attempt) = self.claim(&offer).await? else {
                self.offers.metrics.stale.inc();
                return Ok(Some(slot));
            };
            self.offers.metrics.taken.inc();
            self.start(attempt, slot);
            Ok(None)
        })
    }

    /// Claims a delivery's job and starts it; answers the slot for the next one.
    async fn take(&self, delivery: Delivery, slot: Slot, leaving: &CancellationToken) -> Result<Slot, Leave> {
        let attempt = match self.claim(&delivery.ticket).await {
            Ok(Some(attempt)) => attempt,
            Ok(None) => {
                delivery.ack().await?;
                return Ok(slot);
            }
            Err(Leave::Refused) => {
                self.hand_back(delivery).await?;
                return Err(Leave::Refused);
            }
            Err(left) => return Err(left),
        };
        self.start(attempt, slot);
        let brake = tokio::time::timeout(self.context.config.brake_timeout, self.slot());
        let freed = leaving.run_until_cancelled(brake).await;
        delivery.ack().await?;
        freed.ok_or(Leave::Stopping)?.map_err(|_| Leave::Full)
    }

    /// The job is queued again at once, for whoever has a slot; nobody waits for the broker to deliver its ticket again.
    async fn hand_back(&self, delivery: Delivery) -> Result<(), Leave> {
        let client = self.context.database.client().await?;
        job::return_ticket(&client, &delivery.ticket, Duration::ZERO).await?;
        self.context.metrics.outages.returned.inc();
        self.context.waker.wake(Channel::Work);
        Ok(delivery.ack().await?)
    }

    /// Awaits `wait`, and asks PostgreSQL for tickets meanwhile once the broker has been away for long. A claim under way when
    /// the wait is over is seen to its end.
    async fn pulling<T>(&self, seats: &mut Vec<Slot>, wait: impl Future<Output = T>) -> Result<T, Leave> {
        let since = *self.away().get_or_insert_with(Instant::now);
        let over = CancellationToken::new();
        let waiting = async {
            let value = self.unless_stopping(wait).await;
            over.cancel();
            value
        };
        let pulling = async {
            let mut next = since + self.context.config.pull_after;
            loop {
                tokio::select! {
                    () = over.cancelled() => break,
                    offer = self.offers.next(), if !seats.is_empty() => self.accept_now(offer, seats).await,
                    () = tokio::time::sleep_until(next) => {
                        if !self.is_closed() {
                            self.pull(seats).await;
                        }
                        next = Instant::now() + jittered(PULL_PAUSE);
                    }
                }
            }
        };
        tokio::join!(waiting, pulling).0
    }

    async fn accept_now(&self, offer: Ticket, seats: &mut Vec<Slot>) {
        let Some(accepting) = self.accept(offer, seats) else { return };
        match accepting.await {
            Ok(unused) => seats.extend(unused),
            Err(left) => tracing::debug!("failed to claim an offered job, left to the pool: {}", chain(&left)),
        }
    }

    /// Claims what PostgreSQL has for the free slots, those set aside first; answers whether there was anything.
    async fn pull(&self, seats: &mut Vec<Slot>) -> bool {
        let free = seats.len() + self.slots.available_permits();
        let most = i32::try_from(free).unwrap_or(i32::MAX);
        if most == 0 || self.shutdown.is_triggered() {
            return false;
        }
        let worker = *self.identity.borrow();
        let pulled = async { job::pull(&self.context.database.client().await?, worker, most).await };
        let tickets = pulled.await.unwrap_or_else(|error| {
            tracing::warn!("failed to ask PostgreSQL for tickets: {}", chain(&error));
            Vec::new()
        });
        let found = !tickets.is_empty();
        for ticket in tickets {
            let Some(held) = seats.pop().or_else(|| self.slots.clone().try_acquire_owned().ok()) else {
                break;
            };
            self.context.metrics.outages.pulled.inc();
            match self.claim(&ticket).await {
                Ok(Some(attempt)) => self.start(attempt, held),
                Ok(None) => seats.push(held),
                Err(left) => {
                    tracing::warn!(job = %ticket.job, "failed to claim a pulled ticket: {}", chain(&left));
                    seats.push(held);
                    break;
                }
            }
        }
        found
    }

    /// `None`: nothing to do with this ticket.
    async fn claim(&self, ticket: &Ticket) -> Result<Option<Attempt>, Leave> {
        let id = AttemptId::generate();
        // Before the claim: a full disk must not cost a job an attempt.
        let scratch = self.context.scratch.create(id)?;
        let _until_registered = self.context.running.claiming(id);
        match self.claims.claim(ticket, id, &scratch.workspace().display().to_string()).await? {
            Claimed::Mine(claim) => Ok(Some(Attempt::new(&self.context, ticket.job, id, *claim, scratch))),
            Claimed::Stale => Ok(None),
            Claimed::Refused => Err(Leave::Refused),
            Claimed::Unsuited => {
                let client = self.context.database.client().await?;
                job::return_ticket(&client, ticket, UNSUITED_PAUSE).await?;
                Ok(None)
            }
        }
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, attempt: Attempt, slot: Slot) {
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

/// Uniform from half of `mean` to half more: workers that lost a broker together shall not ask together.
fn jittered(mean: Duration) -> Duration {
    mean.mul_f64(rand::rng().random_range(0.5..=1.5))
}
