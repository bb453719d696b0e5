//! Scheduled jobs whose time has come join their lanes.

use drydock_database::{DatabaseError, job, wake::Channel};
use drydock_runtime::periodic::Next;

use crate::context::Context;

const BATCH: i32 = 100;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let moved = job::due(&context.database.client().await?, BATCH).await?;
    if moved > 0 {
        context.work.notify_one();
        context.waker.wake(Channel::Events);
    }
    Ok(if moved == BATCH { Next::Again } else { Next::Wait })
}
