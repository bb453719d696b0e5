//! The audit log's chain: records that were written since get their hashes.

use drydock_database::{DatabaseError, audit};
use drydock_runtime::periodic::Next;

use crate::context::Context;

/// Records of one transaction.
const RECORDS: i32 = 2000;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let chained = audit::chain(&context.database.client().await?, RECORDS).await?;
    context.metrics.audit.chained.inc_by(u64::from(chained.unsigned_abs()));
    Ok(if chained == RECORDS { Next::Again } else { Next::Wait })
}
