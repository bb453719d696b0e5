//! What tenants have, for their quotas: jobs that wait are counted where there is a quota of them, what was stored is summed up. Counting
//! a long queue takes time, so a round is followed by a pause of twenty times as long as it took.

use drydock_database::{DatabaseError, tenant};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};

use super::rest::Rest;
use crate::context::Context;

const PAUSE: u32 = 20;

/// The loop, and the pause between two counts.
pub(crate) struct Counts {
    context: Context,
    rest: Rest,
}

impl Counts {
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
        // A transaction each: nobody waits for a row of another tenant.
        for id in tenant::to_count(&client).await? {
            tenant::count(&client, id).await?;
        }
        Ok(())
    }
}
