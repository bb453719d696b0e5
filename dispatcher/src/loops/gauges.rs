//! Fleet-wide gauges, from the leader only. Counting a long queue takes time, so a count is followed by a pause of fifty times
//! as long as it took. What is counted of pools is kept for `GET /pools`.

use std::time::Duration;

use drydock_database::{DatabaseError, audit, pool_count};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::Context;

const PAUSE: u32 = 50;
/// Records without a hash that are counted.
const MOST_PENDING: i64 = 100_000;

/// The loop and when it may count again.
pub(crate) struct Gauges {
    context: Context,
    not_before: Mutex<Instant>,
}

impl Gauges {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, not_before: Mutex::new(Instant::now()) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        let began = Instant::now();
        let mut not_before = self.not_before.lock().await;
        if self.context.lead().is_some() && began >= *not_before {
            self.count().await?;
            let took: Duration = began.elapsed();
            *not_before = began + took * PAUSE;
        }
        Ok(Next::Wait)
    }

    async fn count(&self) -> Result<(), DatabaseError> {
        let client = self.context.database.client().await?;
        let pools = pool_count::count(&client).await?;
        self.context.metrics.audit.pending.set(audit::pending(&client, MOST_PENDING).await?);
        for pool in &pools {
            self.context.metrics.pool(pool);
        }
        Ok(())
    }
}
