//! Servers that stop, block, lose a queue or drop their clients.

use std::time::Duration;

use anyhow::Result;
use chrono::Utc;

use super::carry_out::{Arena, meanwhile};
use crate::chaos::sql;

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM (
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
   ORDER BY random() LIMIT $1) AS chosen";

pub(super) async fn stop_rabbitmq(arena: &Arena, ms: Duration) -> Result<()> {
    let stopped = arena.servers.stop_rabbitmq().await;
    meanwhile(ms).await;
    arena.servers.start_rabbitmq().await?;
    stopped
}

pub(super) async fn alarm_rabbitmq(arena: &Arena, ms: Duration) -> Result<()> {
    let raised = arena.servers.memory_alarm(true).await;
    meanwhile(ms).await;
    arena.servers.memory_alarm(false).await?;
    raised
}

pub(super) async fn delete_queue(arena: &Arena) -> Result<()> {
    arena.servers.delete_queue(&drydock_queue::topology::pool_queue(&arena.common.pool)).await
}

pub(super) async fn crash_postgres(arena: &Arena, ms: Duration) -> Result<()> {
    let from = Utc::now();
    let crashed = arena.servers.crash_postgres();
    meanwhile(ms).await;
    arena.servers.start().await?;
    arena.outage(None, from);
    crashed
}

pub(super) async fn terminate_backends(arena: &Arena, count: u32) -> Result<()> {
    let client = sql::connect(&arena.servers.database_url(&arena.common.database)?).await?;
    client.query(TERMINATE, &[&i64::from(count)]).await?;
    Ok(())
}
