//! Consuming tickets: a small prefetch and a fresh consumer tag each time (a reused one can stop deliveries, rabbitmq #9151).

use std::time::Duration;

use drydock_domain::Ticket;
use futures_util::StreamExt as _;
use lapin::{
    Acker,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use uuid::Uuid;

use crate::{Broker, QueueError, connection::Link, topology};

/// How long a delivery that arrived before the end of its consumer takes to show.
const REST: Duration = Duration::from_millis(100);

/// A live consumer of one pool's queue.
pub struct Subscription {
    broker: Broker,
    link: Link,
    consumer: lapin::Consumer,
}

/// A ticket to be settled once: acknowledged right after the durable claim, or dropped with its connection and so delivered
/// again.
#[derive(Debug)]
pub struct Delivery {
    /// The ticket.
    pub ticket: Ticket,
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
        // AMQP has a word of 16 bits for it, in which 0 means without end.
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX).max(1);
        let link = self.open("consume").await?;
        self.declaring(topology::declare(&link.channel, pool)).await?;
        self.within("set the prefetch", link.channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let (queue, tag) = (topology::pool_queue(pool), format!("drydock-{}", Uuid::now_v7()));
        let consume = link.channel.basic_consume(
            queue.as_str().into(),
            tag.as_str().into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = self.within("consume", consume).await?;
        Ok(Subscription { broker: self.clone(), link, consumer })
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
                    return Ok(Some(Delivery { ticket, acker: delivery.acker, broker: self.broker.clone() }));
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

    /// Closes the connection; stops deliveries before, where [`Self::cancel`] has not. An unacknowledged ticket is delivered
    /// elsewhere.
    pub async fn close(self) {
        self.link.close().await;
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
