//! Jobs whose wait is over: their time has come, their back-off or their dependencies have ended, or they waited too long.

use drydock_database::{DatabaseError, job, wake::Channel};
use drydock_runtime::periodic::Next;

use crate::context::Context;

const BATCH: i32 = 100;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let moved = job::end_waits(&context.database.client().await?, BATCH).await?;
    if moved.total() > 0 {
        context.metrics.moved(moved);
        context.wakes.tickets.notify_one();
        context.waker.wake(Channel::Events);
    }
    Ok(if moved.is_full(BATCH) { Next::Again } else { Next::Wait })
}
