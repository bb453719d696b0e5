//! Usage: jobs that ended since are counted, from their events.

use drydock_database::{DatabaseError, usage};
use drydock_runtime::periodic::Next;

use crate::context::Context;

/// Events of one transaction.
const EVENTS: i32 = 2000;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let counted = usage::count(&context.database.client().await?, EVENTS).await?;
    context.metrics.usage.jobs.inc_by(u64::from(counted.jobs.unsigned_abs()));
    Ok(if counted.events >= EVENTS { Next::Again } else { Next::Wait })
}
