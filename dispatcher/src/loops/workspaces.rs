//! Workspaces whose daemon is over: their projects' jobs go home to the fleet.

use drydock_database::{DatabaseError, wake::Channel, workspace};
use drydock_runtime::{exit::chain, periodic::Next};

use crate::context::Context;

const BATCH: i32 = 100;

pub(super) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let client = context.database.client().await?;
    let orphans = workspace::orphans(&client, BATCH).await?;
    if orphans.is_empty() {
        return Ok(Next::Wait);
    }
    for project in orphans {
        match workspace::home(&client, project).await {
            Ok(()) => tracing::info!(%project, "its daemon is over: its jobs go to the fleet again"),
            // The others need not wait for it.
            Err(error) => tracing::warn!(%project, "failed to send a project's jobs home: {}", chain(&error)),
        }
    }
    context.waker.wake(Channel::Work);
    Ok(Next::Wait)
}
