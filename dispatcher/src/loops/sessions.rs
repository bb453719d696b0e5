//! Sessions that nobody waits for any more and nobody was told of: whoever asked went, and so did the replica that was to answer.

use drydock_database::{DatabaseError, session};
use drydock_runtime::periodic::Next;

use crate::context::Context;

const BATCH: i32 = 20;

pub(super) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let ended = session::end_unwanted(&context.database.client().await?, BATCH).await?;
    if ended == 0 {
        return Ok(Next::Wait);
    }
    tracing::info!(ended, "ended sessions that nobody waits for");
    context.waker.wake_all();
    Ok(Next::Again)
}
