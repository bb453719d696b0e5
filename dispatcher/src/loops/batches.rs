//! Batches: counts folded in, their own rules kept, their next jobs let go as the fleet takes them.

use drydock_database::{
    Client, DatabaseError,
    batch::{self, Stepped},
    fleet,
    wake::Channel,
};
use drydock_domain::BatchId;
use drydock_runtime::{exit::chain, periodic::Next};

use crate::context::Context;

const BATCHES: i32 = 100;
/// Jobs of one transaction.
const JOBS: i32 = 1000;
/// Jobs that wait at the heads of their lanes beyond twice the fleet's slots: what short jobs use up between two looks.
const AHEAD: i32 = 256;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let client = context.database.client().await?;
    let due = batch::due(&client, BATCHES).await?;
    if due.is_empty() {
        return Ok(Next::Wait);
    }
    let ahead = ahead(&client).await?;
    let (mut moved, mut full) = (false, due.len() >= usize::try_from(BATCHES).unwrap_or(usize::MAX));
    for id in due {
        // One that cannot be stepped must not keep the others waiting.
        match batch::step(&client, id, ahead, JOBS).await {
            Ok(Some(stepped)) => {
                tell(&context, id, stepped);
                moved |= stepped.moved() > 0;
                full |= stepped.moved() >= JOBS;
                if stepped.moved() > 0 || stepped.finished || stepped.paused.is_some() {
                    context.wakes.tickets.notify_one();
                    context.waker.wake(Channel::Events);
                }
            }
            Ok(None) => {}
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => {
                context.metrics.batches.failed.inc();
                tracing::error!(batch = %id, "cannot step a batch: {}", chain(&error));
            }
        }
    }
    // With nothing moved, another look would find the same.
    Ok(if full && moved { Next::Again } else { Next::Wait })
}

async fn ahead(client: &Client) -> Result<i32, DatabaseError> {
    let slots: i64 = fleet::slots(client).await?.iter().map(|(_, slots)| slots).sum();
    Ok(i32::try_from(slots).unwrap_or(i32::MAX).saturating_mul(2).saturating_add(AHEAD))
}

fn tell(context: &Context, id: BatchId, stepped: Stepped) {
    context.metrics.batches.stepped(stepped);
    if let Some(reason) = stepped.paused {
        tracing::info!(batch = %id, reason = reason.as_str(), "a batch has paused by its own rules");
    }
    if stepped.finished {
        tracing::info!(batch = %id, "a batch is over");
    }
}
