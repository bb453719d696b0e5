//! Servers that stop, block, lose a queue or drop their clients. Where one of them is away already, breaking it has to wait for
//! another run; healing it must succeed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::Utc;

use super::carry_out::{Arena, Outcome, meanwhile};
use crate::chaos::{servers::Servers, sql};

/// Tries of a healing: an application that is just stopping cannot be started.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM (
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
   ORDER BY random() LIMIT $1) AS chosen";

pub(super) async fn stop_rabbitmq(arena: &Arena, ms: Duration) -> Result<Outcome> {
    let stopped = arena.servers.stop_rabbitmq().await;
    meanwhile(ms).await;
    heal(async || arena.servers.start_rabbitmq().await).await.context("RabbitMQ does not start again")?;
    Ok(Outcome::of(stopped))
}

pub(super) async fn alarm_rabbitmq(arena: &Arena, ms: Duration) -> Result<Outcome> {
    let raised = arena.servers.memory_alarm(true).await;
    meanwhile(ms).await;
    heal(async || arena.servers.memory_alarm(false).await).await.context("the memory alarm stays")?;
    Ok(Outcome::of(raised))
}

pub(super) async fn delete_queue(arena: &Arena) -> Outcome {
    Outcome::of(arena.servers.delete_queue(&drydock_queue::topology::pool_queue(&arena.common.pool)).await)
}

pub(super) async fn crash_postgres(arena: &Arena, ms: Duration) -> Result<Outcome> {
    let from = Utc::now();
    let crashed = arena.servers.crash_postgres();
    meanwhile(ms).await;
    heal(async || arena.servers.start().await).await.context("PostgreSQL does not start again")?;
    arena.outage(None, from);
    Ok(Outcome::of(crashed))
}

pub(super) async fn terminate_backends(arena: &Arena, count: u32) -> Outcome {
    Outcome::of(terminate(&arena.servers, &arena.common.database, count).await)
}

async fn terminate(servers: &Servers, database: &str, count: u32) -> Result<()> {
    let client = sql::connect(&servers.database_url(database)?).await?;
    client.query(TERMINATE, &[&i64::from(count)]).await?;
    Ok(())
}

async fn heal(healing: impl AsyncFn() -> Result<()>) -> Result<()> {
    let mut tries = 1;
    loop {
        match healing().await {
            Err(_) if tries < TRIES => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
        tries += 1;
    }
}
