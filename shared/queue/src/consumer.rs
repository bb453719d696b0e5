//! Consuming tickets: a small prefetch and a fresh consumer tag each time (a reused one can stop deliveries, rabbitmq #9151).

use std::time::Duration;

use drydock_domain::Ticket;
use futures_util::StreamExt as _;
use lapin::{
    Acker, BasicProperties,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use uuid::Uuid;

use crate::{Broker, QueueError, connection::Link, topology};

/// How long a delivery that arrived before the end of its consumer takes to show.
const REST: Duration = Duration::from_millis(100);

/// A live consumer of one queue: a pool's, or that of the tickets the broker gave up.
pub struct Subscription {
    broker: Broker,
    link: Link,
    consumer: lapin::Consumer,
}

/// Why the broker gave up a ticket, in its own words as far as they are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It came back undelivered too often: a consumer that dies while it holds it.
    DeliveryLimit,
    /// Its queue was full, and dropped it.
    MaxLength,
    /// It lay in its queue for longer than a policy allows.
    Expired,
    /// A consumer refused it; none of ours does.
    Rejected,
    /// Anything else.
    Unknown,
}

/// A ticket to be settled once: acknowledged right after the durable claim, or dropped with its connection and so delivered
/// again.
#[derive(Debug)]
pub struct Delivery {
    /// The ticket.
    pub ticket: Ticket,
    /// Why the broker gave up delivering it; `None` in a pool's queue.
    pub death: Option<Death>,
    acker: Acker,
    broker: Broker,
}

impl Broker {
    /// Subscribes to a pool's queue over a connection of its own. At most `prefetch` tickets (1 to 65,535) are delivered and
    /// not acknowledged at any time (AMQP 0-9-1, `basic.qos`).
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn subscribe(&self, pool: &str, prefetch: usize) -> Result<Subscription, QueueError> {
        let link = self.open("consume").await?;
        self.declaring(topology::declare(&link.channel, pool)).await?;
        self.consume(link, &topology::pool_queue(pool), prefetch).await
    }

    /// Subscribes to the tickets that the broker gave up, over a connection of its own.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn dead_letters(&self) -> Result<Subscription, QueueError> {
        let link = self.open("dead-letters").await?;
        self.declaring(topology::declare_dead_letters(&link.channel)).await?;
        self.consume(link, topology::DEAD_QUEUE, 1).await
    }

    async fn consume(&self, link: Link, queue: &str, prefetch: usize) -> Result<Subscription, QueueError> {
        let consumer = self.consumer(&link, queue, prefetch).await?;
        Ok(Subscription { broker: self.clone(), link, consumer })
    }

    async fn consumer(&self, link: &Link, queue: &str, prefetch: usize) -> Result<lapin::Consumer, QueueError> {
        // AMQP has a word of 16 bits for it, in which 0 means without end.
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX).max(1);
        self.within("set the prefetch", link.channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let tag = format!("drydock-{}", Uuid::now_v7());
        let consume = link.channel.basic_consume(
            queue.into(),
            tag.as_str().into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        self.within("consume", consume).await
    }
}

impl Subscription {
    /// The next ticket; `None` when the consumer is over (cancelled by the broker, or its connection lost): subscribe anew.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Delivery>, QueueError> {
        loop {
            let Some(delivery) = self.consumer.next().await else {
                return Ok(None);
            };
            let delivery =
                delivery.map_err(|source| QueueError::Operation { operation: "receive a ticket", source })?;
            self.broker.metrics.delivered.inc();
            match Ticket::decode(&delivery.data) {
                Ok(ticket) => {
                    let death = Death::of(&delivery.properties);
                    return Ok(Some(Delivery { ticket, death, acker: delivery.acker, broker: self.broker.clone() }));
                }
                Err(error) => {
                    self.broker.metrics.malformed.inc();
                    tracing::error!("dropped a delivery that cannot be read: {}", drydock_runtime::exit::chain(&error));
                    acknowledge(&self.broker, &delivery.acker).await?;
                }
            }
        }
    }

    /// The consumer's tag, as the broker's operators see it.
    pub fn tag(&self) -> String {
        self.consumer.tag().to_string()
    }

    /// Stops deliveries and answers those that had arrived already, to be acknowledged or left to come again.
    pub async fn cancel(&mut self) -> Vec<Delivery> {
        let cancel = self.link.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if let Err(error) = self.broker.within("cancel the consumer", cancel).await {
            tracing::debug!("failed to cancel the consumer: {}", drydock_runtime::exit::chain(&error));
            return Vec::new();
        }
        let mut arrived = Vec::new();
        while let Ok(Ok(Some(delivery))) = tokio::time::timeout(REST, self.next()).await {
            arrived.push(delivery);
        }
        arrived
    }

    /// Takes tickets of the same connection again after [`Self::cancel`], at most `prefetch` at any time.
    ///
    /// # Errors
    /// The connection is gone, or the broker refuses: subscribe anew.
    pub async fn resume(&mut self, prefetch: usize) -> Result<(), QueueError> {
        let queue = self.consumer.queue();
        self.consumer = self.broker.consumer(&self.link, queue.as_str(), prefetch).await?;
        Ok(())
    }

    /// Closes the connection; stops deliveries before, where [`Self::cancel`] has not. An unacknowledged ticket is delivered
    /// elsewhere.
    pub async fn close(self) {
        self.link.close().await;
    }
}

impl Death {
    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeliveryLimit => "delivery_limit",
            Self::MaxLength => "maxlen",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    fn of(properties: &BasicProperties) -> Option<Self> {
        let word = properties.headers().as_ref()?.inner().get("x-first-death-reason")?.as_long_string()?.to_string();
        let known = [Self::DeliveryLimit, Self::MaxLength, Self::Expired, Self::Rejected];
        Some(known.into_iter().find(|death| death.as_str() == word).unwrap_or(Self::Unknown))
    }
}

impl Delivery {
    /// Acknowledges: the ticket is spent.
    ///
    /// # Errors
    /// The channel is gone (the broker delivers the ticket again, which is harmless) or the broker does not answer.
    pub async fn ack(self) -> Result<(), QueueError> {
        acknowledge(&self.broker, &self.acker).await
    }
}

async fn acknowledge(broker: &Broker, acker: &Acker) -> Result<(), QueueError> {
    let done = broker.within("acknowledge a ticket", acker.ack(BasicAckOptions::default())).await?;
    if done { Ok(()) } else { Err(QueueError::ChannelGone) }
}

#[cfg(test)]
mod tests {
    use drydock_domain::JobId;

    use super::*;
    use crate::{Publisher, QueueConfig, QueueMetrics};

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn delivered(subscription: &mut Subscription) -> Option<Delivery> {
        tokio::time::timeout(PATIENCE, subscription.next()).await.expect("an answer in time").unwrap_or(None)
    }

    // Here, because only the crate itself can misuse the channel.
    #[tokio::test]
    async fn t18_a_channel_error_ends_the_subscription_and_the_held_ticket_comes_again() {
        let url = drydock_testing::setting("DRYDOCK_TEST_AMQP_URL").into();
        let metrics = QueueMetrics::register(&prometheus::Registry::new()).unwrap();
        let broker = Broker::new(&QueueConfig::default(), &url, metrics).unwrap();
        let ticket = Ticket::new(JobId::generate(), 1, drydock_testing::pool(), 0);
        assert_eq!(Publisher::new(broker.clone()).publish(vec![ticket.clone()]).await.confirmed.len(), 1);
        let mut first = broker.subscribe(&ticket.pool, 1).await.unwrap();
        let held = delivered(&mut first).await.unwrap();
        // 406 PRECONDITION_FAILED: nothing of that number was delivered.
        first.link.channel.basic_ack(99, BasicAckOptions::default()).await.unwrap();
        assert!(delivered(&mut first).await.is_none());
        assert!(held.ack().await.is_err());
        let mut second = broker.subscribe(&ticket.pool, 1).await.unwrap();
        assert_eq!(delivered(&mut second).await.unwrap().ticket, ticket);
    }
}
