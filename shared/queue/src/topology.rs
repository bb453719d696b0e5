//! Exchanges and queues, declared in one place. Limits come from a policy, since arguments cannot change
//! without deleting the queue; a version in the queue's name leaves the way open.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use drydock_domain::WorkerId;

use crate::QueueError;

/// The exchange all tickets go to; the pool is the routing key.
pub const DISPATCH: &str = "dd.dispatch";
/// Where the broker puts tickets it gave up delivering.
pub const DEAD_LETTER: &str = "dd.dlx";
/// The queue behind [`DEAD_LETTER`]: a signal for the dispatcher, not a store.
pub const DEAD_QUEUE: &str = "dd.dead.v1";

/// The exchange for what single workers are told; nothing depends on it arriving.
pub const CONTROL: &str = "dd.ctl";
/// AMQP type of a ticket that its worker alone is offered.
pub(crate) const OFFER: &str = "offer";
/// AMQP type of a ticket that its whole pool may take.
pub(crate) const TICKET: &str = "ticket";
/// AMQP type of a version to fetch ahead of its job.
pub(crate) const AHEAD: &str = "ahead";
/// AMQP type of a hint that a renewal would bring news.
pub(crate) const RENEW: &str = "renew";

/// The routing key of a worker's hints.
pub fn worker_key(worker: WorkerId) -> String {
    format!("worker.{worker}")
}

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

/// Declares what the tickets need that the broker gives up.
///
/// # Errors
/// The broker refuses, or the connection is lost.
pub async fn declare_dead_letters(channel: &Channel) -> Result<(), QueueError> {
    declare_exchanges(channel)
        .await
        .map_err(|source| QueueError::Operation { operation: "declare the exchanges", source })
}

/// Declares what hints need.
///
/// # Errors
/// The broker refuses, or the connection is lost.
pub async fn declare_control(channel: &Channel) -> Result<(), QueueError> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(CONTROL.into(), ExchangeKind::Topic, durable, FieldTable::default())
        .await
        .map_err(|source| QueueError::Operation { operation: "declare the control exchange", source })
}

/// Declares a worker's own queue, which goes with its connection; answers its name.
pub(crate) async fn declare_hints(channel: &Channel, worker: WorkerId) -> lapin::Result<ShortString> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("classic")));
    // Of hints one says as much as many; offers are at most as many as a worker has slots.
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1024));
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), own, arguments).await?.name().clone();
    let key = worker_key(worker);
    channel
        .queue_bind(
            queue.clone(),
            CONTROL.into(),
            key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    Ok(queue)
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
