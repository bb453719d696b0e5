//! Workers that run a cancelled job are told to ask at once. A hint that gets lost costs the time to their next renewal.

use drydock_database::{DatabaseError, job};
use drydock_queue::Publisher;
use drydock_runtime::{
    Shutdown,
    exit::chain,
    periodic::{self, Next, Schedule},
};
use tokio::sync::Mutex;

use crate::context::Context;

/// The loop, with a connection made when there is first something to tell.
pub(crate) struct Hints {
    context: Context,
    publisher: Mutex<Publisher>,
}

impl Hints {
    pub(crate) fn new(context: Context) -> Self {
        let publisher = Mutex::new(Publisher::new(context.broker.clone()));
        Self { context, publisher }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
        self.publisher.lock().await.disconnect().await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        if self.context.lead().is_none() {
            return Ok(Next::Wait);
        }
        let workers = job::cancelling(&self.context.database.client().await?).await?;
        if !workers.is_empty()
            && let Err(error) = self.publisher.lock().await.hint(&workers).await
        {
            tracing::debug!("failed to hint, left to the next renewals: {}", chain(&error));
        }
        Ok(Next::Wait)
    }
}
