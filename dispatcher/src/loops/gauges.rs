//! Fleet-wide gauges, from the leader only. Counting a long queue takes time, so a count is followed by a pause of fifty times
//! as long as it took. What is counted of pools is kept for `GET /pools`.

use drydock_database::{DatabaseError, audit, pool_count};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};

use super::rest::Rest;
use crate::context::Context;

const PAUSE: u32 = 50;
/// Records without a hash that are counted.
const MOST_PENDING: i64 = 100_000;

/// The loop, and the pause between two counts.
pub(crate) struct Gauges {
    context: Context,
    rest: Rest,
}

impl Gauges {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, rest: Rest::of(PAUSE) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        if self.context.lead().is_some() {
            self.rest.between(self.count()).await?;
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
