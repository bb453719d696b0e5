//! The way to the broker. A call that takes long goes on by itself, so that admission never waits for a broker that hangs.

use std::time::Duration;

use drydock_domain::{JobId, Ticket};
use drydock_queue::{Broker, Publisher, QueueError};
use drydock_runtime::{Backoff, exit::chain, tasks};
use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

/// How long a round waits for its confirms; they take milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Relay {
    broker: Broker,
    /// There while the broker is known to take messages and nothing is under way.
    publisher: Option<Publisher>,
    busy: Option<JoinHandle<Done>>,
    backoff: Backoff,
}

/// A call to the broker that has ended.
struct Done {
    publisher: Publisher,
    in_doubt: Vec<JobId>,
    error: Option<QueueError>,
}

impl Relay {
    pub(super) fn new(broker: Broker) -> Self {
        let publisher = Some(Publisher::new(broker.clone()));
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        Self { broker, publisher, busy: None, backoff }
    }

    /// Whether a batch can be published now.
    pub(super) const fn is_up(&self) -> bool {
        self.publisher.is_some()
    }

    /// Publishes a batch; the jobs whose tickets are in doubt, as far as that is known soon.
    pub(super) async fn publish(&mut self, tickets: Vec<Ticket>) -> Vec<JobId> {
        let Some(mut publisher) = self.publisher.take() else {
            return tickets.iter().map(|ticket| ticket.job).collect();
        };
        let mut call = tasks::spawn("publish", async move {
            let published = publisher.publish(tickets).await;
            let in_doubt = published.unconfirmed.iter().map(|ticket| ticket.job).collect();
            Done { publisher, in_doubt, error: published.error }
        });
        match tokio::time::timeout(PATIENCE, &mut call).await {
            Ok(ended) => self.heed(ended.ok()),
            Err(_) => {
                tracing::warn!("RabbitMQ is slow to confirm: admitting for workers that pull meanwhile");
                self.busy = Some(call);
                Vec::new()
            }
        }
    }

    /// The jobs whose tickets are in doubt after a call that took long.
    pub(super) fn settled(&mut self) -> Vec<JobId> {
        let Some(mut call) = self.busy.take() else {
            return Vec::new();
        };
        match (&mut call).now_or_never() {
            Some(ended) => self.heed(ended.ok()),
            None => {
                self.busy = Some(call);
                Vec::new()
            }
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        if let Some(call) = self.busy.take() {
            call.abort();
        }
        if let Some(mut publisher) = self.publisher.take() {
            publisher.disconnect().await;
        }
    }

    fn heed(&mut self, done: Option<Done>) -> Vec<JobId> {
        // Nothing: the task panicked, and its connection went with it.
        let done = done.unwrap_or_else(|| Done {
            publisher: Publisher::new(self.broker.clone()),
            in_doubt: Vec::new(),
            error: Some(QueueError::ChannelGone),
        });
        if done.error.is_none() && done.in_doubt.is_empty() {
            self.backoff.reset();
            self.publisher = Some(done.publisher);
            return Vec::new();
        }
        let delay = self.backoff.next_delay();
        let why = done.error.as_ref().map_or_else(|| "no queue took them".to_owned(), |error| chain(error));
        tracing::warn!(tickets = done.in_doubt.len(), retry_ms = delay.as_millis(), "RabbitMQ takes no tickets: {why}");
        self.busy = Some(reconnect(done.publisher, delay));
        done.in_doubt
    }
}

fn reconnect(mut publisher: Publisher, delay: Duration) -> JoinHandle<Done> {
    tasks::spawn("reconnect", async move {
        tokio::time::sleep(delay).await;
        let error = publisher.ready().await.err();
        Done { publisher, in_doubt: Vec::new(), error }
    })
}
