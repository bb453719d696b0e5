//! The log of deliveries forgets what is old, and the leader's gauges say what waits. Counting is followed by a pause of fifty times as long
//! as it took.

use drydock_database::{DatabaseError, webhook};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::Context;

const BATCH: i32 = 1000;
const PAUSE: u32 = 50;

/// The loop, and when it may count again.
pub(crate) struct WebhookLog {
    context: Context,
    not_before: Mutex<Instant>,
}

impl WebhookLog {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, not_before: Mutex::new(Instant::now()) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        if self.context.lead().is_none() {
            return Ok(Next::Wait);
        }
        let client = self.context.database.client().await?;
        let metrics = &self.context.metrics.webhooks;
        let (began, mut not_before) = (Instant::now(), self.not_before.lock().await);
        if began >= *not_before {
            let (pending, late) = webhook::backlog(&client).await?;
            // The lead may be lost meanwhile, and its gauges reset.
            if self.context.lead().is_some() {
                metrics.backlog(pending, late);
            }
            *not_before = began + began.elapsed() * PAUSE;
        }
        let forgotten = webhook::forget(&client, self.context.config.webhooks.webhook_log_keep, BATCH).await?;
        metrics.forgot(forgotten);
        Ok(if forgotten >= BATCH { Next::Again } else { Next::Wait })
    }
}
