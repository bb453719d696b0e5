//! Workspaces whose daemon is over: their projects' jobs go home to the fleet.

use drydock_database::{DatabaseError, wake::Channel, workspace};
use drydock_runtime::periodic::Next;

use crate::context::Context;

const BATCH: i32 = 100;

pub(super) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let client = context.database.client().await?;
    let orphans = workspace::orphans(&client, BATCH).await?;
    for project in &orphans {
        workspace::home(&client, *project).await?;
        tracing::info!(%project, "its daemon is over: its jobs go to the fleet again");
    }
    if orphans.is_empty() {
        return Ok(Next::Wait);
    }
    context.waker.wake(Channel::Work);
    Ok(Next::Again)
}
