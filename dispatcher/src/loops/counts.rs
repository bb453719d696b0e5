//! What tenants have, for their quotas: jobs that wait are counted where there is a quota of them, what was stored is summed up. Counting
//! a long queue takes time, so a round is followed by a pause of twenty times as long as it took.

use std::time::Duration;

use drydock_database::{DatabaseError, tenant};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::Context;

const PAUSE: u32 = 20;

/// The loop and when it may count again.
pub(crate) struct Counts {
    context: Context,
    not_before: Mutex<Instant>,
}

impl Counts {
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
            let client = self.context.database.client().await?;
            // A transaction each: nobody waits for a row of another tenant.
            for id in tenant::to_count(&client).await? {
                tenant::count(&client, id).await?;
            }
            let took: Duration = began.elapsed();
            *not_before = began + took * PAUSE;
        }
        Ok(Next::Wait)
    }
}
