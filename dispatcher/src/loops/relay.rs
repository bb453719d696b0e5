//! The way to the broker. A call that takes long goes on by itself, so that admission never waits for a broker that hangs.

use std::time::Duration;

use drydock_domain::{Dispatch, JobId, Ticket};
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
    /// Whether tickets were published, rather than a connection made.
    published: bool,
    in_doubt: Vec<JobId>,
    /// Offered to workers that are gone.
    absent: Vec<JobId>,
    error: Option<QueueError>,
}

impl Relay {
    pub(super) fn new(broker: Broker) -> Self {
        let publisher = Some(Publisher::new(broker.clone()));
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        Self { broker, publisher, busy: None, backoff }
    }

    /// Asks whether the broker takes messages, which may have changed since it last took some. A broker that does not say so soon is asked
    /// on until it does.
    pub(super) async fn ask(&mut self) {
        let Some(publisher) = self.publisher.take() else { return };
        let mut call = reconnect(publisher, Duration::ZERO);
        match tokio::time::timeout(PATIENCE, &mut call).await {
            Ok(ended) => {
                self.heed(ended.ok());
            }
            Err(_) => self.busy = Some(call),
        }
    }

    /// Whether a batch can be published now.
    pub(super) const fn is_up(&self) -> bool {
        self.publisher.is_some()
    }

    /// Publishes a batch; the jobs whose tickets are in doubt, as far as that is known soon.
    pub(super) async fn publish(&mut self, dispatches: Vec<Dispatch>) -> Vec<JobId> {
        let Some(mut publisher) = self.publisher.take() else {
            return dispatches.iter().map(|dispatch| dispatch.ticket.job).collect();
        };
        let mut call = tasks::spawn("publish", async move {
            let published = publisher.publish(dispatches).await;
            let jobs = |tickets: &[Ticket]| tickets.iter().map(|ticket| ticket.job).collect();
            let (in_doubt, absent) = (jobs(&published.unconfirmed), jobs(&published.absent));
            Done { publisher, published: true, in_doubt, absent, error: published.error }
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
            published: false,
            in_doubt: Vec::new(),
            absent: Vec::new(),
            error: Some(QueueError::ChannelGone),
        });
        if done.error.is_none() && done.in_doubt.is_empty() {
            // A broker that connects may still refuse every ticket: blocked, or its queue full.
            if done.published {
                self.backoff.reset();
            }
            self.publisher = Some(done.publisher);
            return done.absent;
        }
        let delay = self.backoff.next_delay();
        let why = done.error.as_ref().map_or_else(|| "no queue took them".to_owned(), |error| chain(error));
        tracing::warn!(tickets = done.in_doubt.len(), retry_ms = delay.as_millis(), "RabbitMQ takes no tickets: {why}");
        self.busy = Some(reconnect(done.publisher, delay));
        [done.in_doubt, done.absent].concat()
    }
}

fn reconnect(mut publisher: Publisher, delay: Duration) -> JoinHandle<Done> {
    tasks::spawn("reconnect", async move {
        tokio::time::sleep(delay).await;
        let error = publisher.ready().await.err();
        Done { publisher, published: false, in_doubt: Vec::new(), absent: Vec::new(), error }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use drydock_queue::{QueueConfig, QueueMetrics};
    use drydock_testing::{Proxy, until};
    use prometheus::Registry;

    use super::*;

    const LOOK: Duration = Duration::from_secs(4);
    /// How a frame with the broker's confirm begins: 13 bytes of `basic.ack`.
    const CONFIRM: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 80];

    /// A broker that connects and declares as always, while its confirms are cut off.
    async fn behind_proxy() -> (Proxy, Broker, Registry) {
        let url = drydock_testing::setting("DRYDOCK_TEST_AMQP_URL");
        let (user, rest) = url.rsplit_once('@').unwrap();
        let (host, vhost) = rest.split_once('/').unwrap();
        let proxy = Proxy::start(host.to_owned()).await;
        let through = format!("{user}@{}/{vhost}", proxy.address()).into();
        let registry = Registry::new();
        let metrics = QueueMetrics::register(&registry).unwrap();
        (proxy, Broker::new(&QueueConfig::default(), &through, metrics).unwrap(), registry)
    }

    // Here, because only the loop's own pace can spin.
    /// Red when a connection alone resets the back-off.
    #[tokio::test]
    async fn t10_a_broker_that_connects_and_confirms_nothing_is_tried_with_back_off() {
        let (proxy, broker, registry) = behind_proxy().await;
        let pool = drydock_testing::pool();
        let mut relay = Relay::new(broker);
        let ticket = |seq| vec![Ticket::new(JobId::generate(), seq, pool.clone(), 0).into()];
        proxy.cut_reply(CONFIRM, u32::MAX);
        assert_eq!(relay.publish(ticket(1)).await.len(), 1, "nobody knows of it");
        let began = Instant::now();
        while began.elapsed() < LOOK {
            relay.settled();
            assert!(!relay.is_up(), "it was asked, and confirmed nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let families = registry.gather();
        let tries = families.iter().find(|family| family.name() == "drydock_amqp_reconnects_total").unwrap();
        let tries = tries.get_metric()[0].get_counter().get_value();
        assert!((2.0..=12.0).contains(&tries), "{tries} tries in {LOOK:?}");
        proxy.heal();
        let mut relay = tokio::sync::Mutex::new(relay);
        until("it takes tickets again", Duration::from_secs(30), || async {
            let mut relay = relay.lock().await;
            relay.settled();
            (relay.is_up() && relay.publish(ticket(0)).await.is_empty() && relay.is_up()).then_some(())
        })
        .await;
        relay.get_mut().close().await;
    }
}
