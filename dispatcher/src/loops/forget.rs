//! What workers held that are over is forgotten, apart from taking back what they ran, which must not wait for it.

use drydock_database::{DatabaseError, worker};
use drydock_runtime::periodic::Next;

use crate::context::Context;

const BATCH: i32 = 1000;

pub(super) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let forgotten = worker::forget_held(&context.database.client().await?, BATCH).await?;
    Ok(if forgotten > 0 { Next::Again } else { Next::Wait })
}
