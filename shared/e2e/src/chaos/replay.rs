//! Tickets delivered again: a broker may do that to any message at any time, and an operator who restores a queue does it to all.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use drydock_domain::Ticket;
use drydock_queue::{Broker, Publisher, QueueConfig, QueueMetrics};
use uuid::Uuid;

use super::sql;

/// Jobs of which a ticket was sent, with the seq of their last one. A ticket of one that is running or over is stale.
const TICKETS: &str = "SELECT id, dispatch_seq FROM job
  WHERE dispatch_seq > 0 AND state NOT IN ('dispatched', 'queued') ORDER BY random() LIMIT $1";

/// Sends old tickets.
pub(crate) struct Replay {
    amqp: String,
    database: String,
    pool: String,
    sent: AtomicU64,
}

impl Replay {
    /// Of the jobs of `database`, to `pool`'s queue.
    pub(crate) fn new(amqp: String, database: String, pool: String) -> Self {
        Self { amqp, database, pool, sent: AtomicU64::new(0) }
    }

    /// Sends up to `count`.
    ///
    /// # Errors
    /// A server is away.
    pub(crate) async fn some(&self, count: u32) -> Result<()> {
        let client = sql::connect(&self.database).await?;
        let rows = client.query(TICKETS, &[&i64::from(count)]).await.context("choose tickets")?;
        let tickets = rows.iter().map(|row| {
            let (job, seq): (Uuid, i32) = (row.get(0), row.get(1));
            Ticket::new(job.into(), seq, self.pool.clone(), 0)
        });
        let metrics = QueueMetrics::register(&prometheus::Registry::new())?;
        let broker = Broker::new(&QueueConfig::default(), &self.amqp.clone().into(), metrics)?;
        let mut publisher = Publisher::new(broker);
        let published = publisher.publish(tickets.collect()).await;
        publisher.disconnect().await;
        self.sent.fetch_add(published.confirmed.len() as u64, Ordering::Relaxed);
        published.error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// How many stale tickets the broker has taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}
