//! Exchanges and queues, declared in one place. Limits come from a policy, since arguments cannot change
//! without deleting the queue; a version in the queue's name leaves the way open.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};

use crate::QueueError;

/// The exchange all tickets go to; the pool is the routing key.
pub const DISPATCH: &str = "dd.dispatch";
/// Where the broker puts tickets it gave up delivering.
pub const DEAD_LETTER: &str = "dd.dlx";
/// The queue behind [`DEAD_LETTER`]: a signal for people, not a store.
pub const DEAD_QUEUE: &str = "dd.dead.v1";

/// The quorum queue of a pool.
pub fn pool_queue(pool: &str) -> String {
    format!("dd.pool.{pool}.v1")
}

/// Declares everything a pool needs; repeating it is harmless.
///
/// # Errors
/// The broker refuses, or the connection is lost.
pub async fn declare(channel: &Channel, pool: &str) -> Result<(), QueueError> {
    declare_exchanges(channel)
        .await
        .map_err(|source| QueueError::Operation { operation: "declare the exchanges", source })?;
    declare_pool(channel, pool)
        .await
        .map_err(|source| QueueError::Operation { operation: "declare the pool's queue", source })
}

async fn declare_exchanges(channel: &Channel) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(DISPATCH.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    channel.exchange_declare(DEAD_LETTER.into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
    channel.queue_declare(DEAD_QUEUE.into(), QueueDeclareOptions::durable(), quorum()).await?;
    channel
        .queue_bind(
            DEAD_QUEUE.into(),
            DEAD_LETTER.into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

async fn declare_pool(channel: &Channel, pool: &str) -> lapin::Result<()> {
    let queue = pool_queue(pool);
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), quorum()).await?;
    channel
        .queue_bind(
            queue.as_str().into(),
            DISPATCH.into(),
            pool.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// The one argument that cannot come from a policy.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
    arguments
}
