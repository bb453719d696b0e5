//! What one worker is told: "a renewal would bring you news", and tickets it is offered before its pool. Best effort by design:
//! the next renewal tells the same, and a ticket nobody claims goes to the pool, so nothing is stored or acknowledged.

use drydock_domain::{Ahead, Ticket, WorkerId};
use futures_util::StreamExt as _;
use lapin::{options::BasicConsumeOptions, types::FieldTable};
use uuid::Uuid;

use crate::{Broker, QueueError, connection::Link, topology};

/// What a worker may hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Renew now.
    Renew,
    /// A job that would start at once here: claim it, or leave it to the pool.
    Offer(Ticket),
    /// A version to fetch before a job that starts from it comes.
    Ahead(Ahead),
}

impl Hint {
    /// What is not understood is newer than this build; a renewal is always right.
    fn read(delivery: &lapin::message::Delivery) -> Self {
        let kind = delivery.properties.kind().as_ref().map(ToString::to_string);
        match kind.as_deref() {
            Some(topology::OFFER) => Ticket::decode(&delivery.data).map_or(Self::Renew, Self::Offer),
            Some(topology::AHEAD) => Ahead::decode(&delivery.data).map_or(Self::Renew, Self::Ahead),
            _ => Self::Renew,
        }
    }
}

/// What a worker hears, over a connection of its own: tickets may not flow while its slots are full, hints must.
pub struct Hints {
    broker: Broker,
    link: Link,
    consumer: lapin::Consumer,
}

impl Broker {
    /// Listens to a worker's hints.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn hints(&self, worker: WorkerId) -> Result<Hints, QueueError> {
        let link = self.open("control").await?;
        self.declaring(topology::declare_control(&link.channel)).await?;
        let queue = self.within("declare the queue of hints", topology::declare_hints(&link.channel, worker)).await?;
        let tag = format!("drydock-{}", Uuid::now_v7());
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
        let consume = link.channel.basic_consume(queue, tag.as_str().into(), options, FieldTable::default());
        let consumer = self.within("consume hints", consume).await?;
        Ok(Hints { broker: self.clone(), link, consumer })
    }
}

impl Hints {
    /// The next hint; `None` when this is over: listen anew.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Hint>, QueueError> {
        match self.consumer.next().await {
            None => Ok(None),
            Some(Ok(delivery)) => {
                self.broker.metrics.hints_heard.inc();
                Ok(Some(Hint::read(&delivery)))
            }
            Some(Err(source)) => Err(QueueError::Operation { operation: "receive a hint", source }),
        }
    }

    /// Ends the connection, and the queue with it.
    pub async fn close(self) {
        self.link.close().await;
    }
}
