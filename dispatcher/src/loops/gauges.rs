//! Fleet-wide gauges, from the leader only.

use std::collections::BTreeMap;

use drydock_database::{DatabaseError, fleet};
use drydock_runtime::periodic::Next;

use crate::context::Context;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let client = context.database.client().await?;
    let (slots, counts) = (fleet::slots(&client).await?, fleet::live_jobs(&client).await?);
    let mut pools = BTreeMap::<String, (i64, Vec<_>)>::new();
    for (pool, slots) in slots {
        pools.entry(pool).or_default().0 = slots;
    }
    for (pool, state, count) in counts {
        pools.entry(pool).or_default().1.push((state, count));
    }
    for (pool, (slots, counts)) in &pools {
        context.metrics.pool(pool, *slots, counts);
    }
    Ok(Next::Wait)
}
