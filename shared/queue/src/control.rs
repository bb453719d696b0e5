//! Hints to one worker: "a renewal would bring you news". Best effort by design: whoever misses one learns the same with its
//! next renewal, so they are neither stored nor acknowledged.

use drydock_domain::WorkerId;
use futures_util::StreamExt as _;
use lapin::{options::BasicConsumeOptions, types::FieldTable};
use uuid::Uuid;

use crate::{Broker, QueueError, connection::Link, topology};

/// Renew now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint;

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
            Some(Ok(_)) => {
                self.broker.metrics.hints_heard.inc();
                Ok(Some(Hint))
            }
            Some(Err(source)) => Err(QueueError::Operation { operation: "receive a hint", source }),
        }
    }

    /// Ends the connection, and the queue with it.
    pub async fn close(self) {
        self.link.close().await;
    }
}
