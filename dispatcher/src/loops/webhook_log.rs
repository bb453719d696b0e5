//! The log of deliveries forgets what is old, and the leader's gauges say what waits. Counting is followed by a pause of fifty times as long
//! as it took.

use drydock_database::{Client, DatabaseError, webhook};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};

use super::rest::Rest;
use crate::context::Context;

const BATCH: i32 = 1000;
const PAUSE: u32 = 50;

/// The loop, and the pause between two counts.
pub(crate) struct WebhookLog {
    context: Context,
    rest: Rest,
}

impl WebhookLog {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, rest: Rest::of(PAUSE) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        if self.context.lead().is_none() {
            return Ok(Next::Wait);
        }
        let client = self.context.database.client().await?;
        self.rest.between(self.count(&client)).await?;
        let forgotten = webhook::forget(&client, self.context.config.webhooks.webhook_log_keep, BATCH).await?;
        self.context.metrics.webhooks.forgot(forgotten);
        Ok(if forgotten >= BATCH { Next::Again } else { Next::Wait })
    }

    async fn count(&self, client: &Client) -> Result<(), DatabaseError> {
        let (pending, late) = webhook::backlog(client).await?;
        // The lead may be lost meanwhile, and its gauges reset.
        if self.context.lead().is_some() {
            self.context.metrics.webhooks.backlog(pending, late);
        }
        Ok(())
    }
}
