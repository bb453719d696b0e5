//! Tickets that RabbitMQ gave up delivering: a signal, not a store. Each tells of a job that may wait for a ticket which comes
//! no more. One that waits for exactly this ticket is queued again at once, and every one is counted and named; how often a job
//! may be tried is decided by our own counts, never by the broker's.

use std::time::Duration;

use drydock_database::{Database, DatabaseError, job};
use drydock_queue::{Death, Delivery, QueueError, Subscription};
use drydock_runtime::{Backoff, exit::chain};

use crate::context::Context;

/// How a listener ends that nobody stopped.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the broker ended the subscription")]
    ByBroker,
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Listens while this process leads, until the context's shutdown. A ticket is acknowledged when its job is dealt with: one
/// that could not be comes again, over a fresh connection.
pub(super) async fn run(context: Context) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        let ended = tokio::select! {
            biased;
            () = context.shutdown.triggered() => return,
            () = leading(&context, true) => listen(&context, &mut backoff).await,
        };
        let Err(error) = ended else { continue };
        let delay = backoff.next_delay();
        tracing::warn!(retry_ms = delay.as_millis(), "dead letters are not heard: {}", chain(&error));
        tokio::select! {
            () = context.shutdown.triggered() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Until the lead or the connection is lost, or the process stops.
async fn listen(context: &Context, backoff: &mut Backoff) -> Result<(), Ended> {
    let over = async {
        tokio::select! {
            () = leading(context, false) => {}
            () = context.shutdown.triggered() => {}
        }
    };
    let mut over = std::pin::pin!(over);
    let mut letters = tokio::select! {
        biased;
        () = &mut over => return Ok(()),
        letters = context.broker.dead_letters() => letters?,
    };
    backoff.reset();
    let heard = tokio::select! {
        heard = heed(context, &mut letters) => heard,
        () = over => Ok(()),
    };
    letters.close().await;
    heard
}

/// Until this process leads, or leads no more.
async fn leading(context: &Context, leads: bool) {
    let mut lead = context.lead.clone();
    // The candidate ends with the process: then nobody leads.
    if lead.wait_for(|lead| lead.is_some() == leads).await.is_err() && leads {
        std::future::pending().await
    }
}

async fn heed(context: &Context, letters: &mut Subscription) -> Result<(), Ended> {
    while let Some(letter) = letters.next().await? {
        let death = letter.death.unwrap_or(Death::Unknown);
        let waited = again(&context.database, &letter).await?;
        context.metrics.dead_letters.with_label_values(&[death.as_str()]).inc();
        if waited {
            context.wakes.tickets.notify_one();
        }
        tell(&letter, death, waited);
        letter.ack().await?;
    }
    Err(Ended::ByBroker)
}

/// Queues the ticket's job again, if it waits for this very ticket; its next one has another seq.
async fn again(database: &Database, letter: &Delivery) -> Result<bool, DatabaseError> {
    job::return_ticket(&database.client().await?, &letter.ticket, Duration::ZERO).await
}

fn tell(letter: &Delivery, death: Death, waited: bool) {
    let remedy = match death {
        Death::DeliveryLimit => {
            "workers die while they hold it: look at their last log lines, and at the policy's delivery-limit"
        }
        Death::MaxLength => "the queue is full: raise the policy's max-length, and keep its overflow at reject-publish",
        Death::Expired => "no worker took it in time: take message-ttl out of the policy, tickets need none",
        Death::Rejected | Death::Unknown => {
            "no part of Drydock does this: look for other consumers and policies of this queue"
        }
    };
    let became = if waited { "its job is queued again" } else { "its job had moved on" };
    let (job, seq, pool, reason) = (letter.ticket.job, letter.ticket.seq, &letter.ticket.pool, death.as_str());
    tracing::error!(%job, seq, pool, reason, "RabbitMQ gave up a ticket and {became}; {remedy}");
}
