//! Watches for a transaction that stays open, whoever has it: while it does, no row version that a job leaves behind can be removed,
//! and the queue's tables grow.

use drydock_database::{
    DatabaseError,
    horizon::{self, OldestTransaction},
};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::sync::Mutex;

use crate::context::Context;

/// The loop and the transaction it has warned of.
pub(crate) struct Horizon {
    context: Context,
    warned: Mutex<Option<OldestTransaction>>,
}

impl Horizon {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, warned: Mutex::new(None) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        let mut warned = self.warned.lock().await;
        if self.context.lead().is_none() {
            *warned = None;
            return Ok(Next::Wait);
        }
        let oldest = horizon::oldest_transaction(&self.context.database.client().await?).await?;
        let age = oldest.as_ref().map(|oldest| oldest.age).unwrap_or_default();
        self.context.metrics.oldest_transaction_seconds.set(age.as_secs_f64());
        let alarming = oldest.filter(|oldest| oldest.age >= self.context.config.transaction_alarm);
        match (&alarming, &*warned) {
            (Some(now), before) if !before.as_ref().is_some_and(|before| is_same(before, now)) => warn(now),
            (None, Some(before)) => {
                tracing::info!(holder = before.holder, "no transaction has been open for long any more")
            }
            _ => {}
        }
        *warned = alarming;
        Ok(Next::Wait)
    }
}

/// A session's next transaction is another one: it is younger.
fn is_same(before: &OldestTransaction, now: &OldestTransaction) -> bool {
    (before.pid, &before.holder) == (now.pid, &now.holder) && before.age <= now.age
}

fn warn(oldest: &OldestTransaction) {
    tracing::warn!(
        pid = oldest.pid,
        holder = oldest.holder,
        open_s = oldest.age.as_secs(),
        remedy = oldest.remedy(),
        "a transaction has been open for long: what jobs leave behind in PostgreSQL cannot be removed until it ends"
    );
}
