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
    use drydock_testing::{Pattern, Proxy, until};
    use prometheus::Registry;

    use super::*;

    const LOOK: Duration = Duration::from_secs(4);
    /// Longest wait for what the broker, or the way to it, is about to say.
    const DEADLINE: Duration = Duration::from_secs(60);
    /// How a frame with the broker's confirm begins: 13 bytes of `basic.ack`.
    const CONFIRM: Pattern = &[0, 0, 0, 13, 0, 60, 0, 80];
    /// `queue.declare-ok`, which only a ticket asks for.
    const DECLARED: Pattern = &[0, 50, 0, 11];

    /// A broker behind a proxy, and what it counts.
    async fn behind_proxy() -> (Proxy, Relay, Registry) {
        let url = drydock_testing::setting("DRYDOCK_TEST_AMQP_URL");
        let (user, rest) = url.rsplit_once('@').unwrap();
        let (host, vhost) = rest.split_once('/').unwrap();
        let proxy = Proxy::start(host.to_owned()).await;
        let through = format!("{user}@{}/{vhost}", proxy.address()).into();
        let registry = Registry::new();
        let metrics = QueueMetrics::register(&registry).unwrap();
        // A busy machine is no broker that is away.
        let config = QueueConfig { amqp_timeout: DEADLINE, ..QueueConfig::default() };
        (proxy, Relay::new(Broker::new(&config, &through, metrics).unwrap()), registry)
    }

    fn reconnects(registry: &Registry) -> f64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "drydock_amqp_reconnects_total").unwrap();
        family.get_metric()[0].get_counter().get_value()
    }

    fn ticket(pool: &str) -> Vec<Dispatch> {
        vec![Ticket::new(JobId::generate(), 1, pool.to_owned(), 0).into()]
    }

    /// The jobs in doubt when the call under way has ended, however long it takes.
    async fn ended(relay: &mut Relay) -> Vec<JobId> {
        let busy = &relay.busy;
        let over = || async { busy.as_ref().is_none_or(JoinHandle::is_finished).then_some(()) };
        until("the call ends", DEADLINE, over).await;
        relay.settled()
    }

    /// The jobs in doubt after a publish. A busy machine is slow to connect and to make a queue, so they may be told later only.
    async fn in_doubt(relay: &mut Relay, pool: &str) -> Vec<JobId> {
        let soon = relay.publish(ticket(pool)).await;
        if soon.is_empty() { ended(relay).await } else { soon }
    }

    // Here, because only the loop's own pace can spin.
    /// Red without pauses.
    #[tokio::test]
    async fn t10_a_broker_that_connects_and_confirms_nothing_is_tried_with_back_off() {
        let (proxy, mut relay, registry) = behind_proxy().await;
        let pool = drydock_testing::pool();
        proxy.cut_reply(CONFIRM, u32::MAX);
        assert_eq!(in_doubt(&mut relay, &pool).await.len(), 1, "nobody knows of it");
        let began = Instant::now();
        // Two more tries take as long as the machine needs; many are too many at any speed.
        while began.elapsed() < LOOK || relay.backoff.tries() < 3 {
            relay.settled();
            assert!(!relay.is_up(), "it was asked, and confirmed nothing");
            assert!(began.elapsed() < DEADLINE, "it is tried again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tries = reconnects(&registry);
        assert!(tries <= 12.0, "{tries} tries in {LOOK:?}");
        proxy.heal();
        while !relay.is_up() {
            ended(&mut relay).await;
        }
        assert_eq!(in_doubt(&mut relay, &pool).await, [], "it takes tickets again");
        assert!(relay.is_up());
        relay.close().await;
    }

    /// Red when a connection alone resets the back-off: this broker takes the two messages it is asked with.
    #[tokio::test]
    async fn t10_a_broker_that_connects_and_takes_no_ticket_is_tried_with_back_off() {
        let (proxy, mut relay, _registry) = behind_proxy().await;
        let pool = drydock_testing::pool();
        proxy.cut_reply(DECLARED, u32::MAX);
        for refused in 1..=3 {
            assert_eq!(in_doubt(&mut relay, &pool).await.len(), 1);
            assert!(relay.backoff.tries() >= refused, "{} pauses after {refused}", relay.backoff.tries());
            while !relay.is_up() {
                ended(&mut relay).await;
            }
        }
        proxy.heal();
        assert_eq!(in_doubt(&mut relay, &pool).await, []);
        assert_eq!(relay.backoff.tries(), 0, "a ticket it takes does");
        relay.close().await;
    }

    /// Red when what comes of a slow call is forgotten.
    #[tokio::test]
    async fn a_ticket_whose_broker_says_nothing_for_long_is_in_doubt_once_its_call_ends() {
        let (proxy, mut relay, _registry) = behind_proxy().await;
        let tickets = ticket(&drydock_testing::pool());
        let job = tickets[0].ticket.job;
        proxy.stall();
        assert_eq!(relay.publish(tickets).await, [], "not known yet");
        assert!(!relay.is_up() && relay.settled().is_empty(), "under way");
        proxy.cut();
        assert_eq!(ended(&mut relay).await, [job]);
        relay.close().await;
    }
}
