//! From the plan to the deed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures_util::future;
use serde::Serialize;
use tokio::time::sleep;

use super::{Fault, network, processes, servers};
use crate::chaos::{
    fleet::{Common, Fleet},
    replay::Replay,
    servers::Servers,
};

/// How long a fault waits for the one before.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where faults happen.
pub(crate) struct Arena {
    /// The services.
    pub(crate) fleet: Arc<Fleet>,
    /// The servers.
    pub(crate) servers: Servers,
    /// This run's names.
    pub(crate) common: Common,
    /// Old tickets.
    pub(crate) replay: Replay,
    /// Who breaks RabbitMQ has it alone.
    rabbitmq: tokio::sync::Mutex<()>,
    /// Who breaks PostgreSQL has it alone.
    postgres: tokio::sync::Mutex<()>,
    outages: Mutex<Vec<Outage>>,
}

/// A time when workers could not reach PostgreSQL, or were frozen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outage {
    /// The worker; all of them when `None`.
    pub(crate) worker: Option<String>,
    /// By the machine's clock, which is the database's too.
    pub(crate) from: DateTime<Utc>,
    /// By the machine's clock.
    pub(crate) until: DateTime<Utc>,
}

impl Arena {
    /// An arena nothing has happened in.
    pub(crate) fn new(fleet: Arc<Fleet>, servers: Servers, common: Common, replay: Replay) -> Self {
        Self {
            fleet,
            servers,
            common,
            replay,
            rabbitmq: tokio::sync::Mutex::default(),
            postgres: tokio::sync::Mutex::default(),
            outages: Mutex::default(),
        }
    }

    /// When workers could not go on.
    pub(crate) fn outages(&self) -> Vec<Outage> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn outage(&self, worker: Option<&str>, from: DateTime<Utc>) {
        let outage = Outage { worker: worker.map(str::to_owned), from, until: Utc::now() };
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).push(outage);
    }
}

/// What came of a fault.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It happened.
    Done,
    /// It could not, because of another that was under way.
    Missed(String),
}

impl Outcome {
    pub(super) fn of(done: Result<()>) -> Self {
        done.map_or_else(|error| Self::Missed(format!("{error:#}")), |()| Self::Done)
    }
}

/// Lets a fault happen and heals it.
///
/// # Errors
/// It could not be healed, or a service did not stop as it should.
pub(crate) async fn carry_out(arena: &Arena, fault: &Fault) -> Result<Outcome> {
    let ms = Duration::from_millis(fault.length());
    let named = |service: &str| arena.fleet.named(service);
    let server = match fault {
        Fault::StopRabbitmq { .. } | Fault::AlarmRabbitmq { .. } | Fault::DeleteQueue => Some(&arena.rabbitmq),
        Fault::CrashPostgres { .. } | Fault::TerminateBackends { .. } => Some(&arena.postgres),
        _ => None,
    };
    let alone = future::OptionFuture::from(server.map(|server| server.lock()));
    let Ok(_alone) = tokio::time::timeout(PATIENCE, alone).await else {
        return Ok(Outcome::Missed("another fault has the server".to_owned()));
    };
    match fault {
        Fault::Kill { service, .. } => processes::kill(named(service)?, ms).await,
        Fault::Freeze { service, .. } => processes::freeze(arena, named(service)?, ms).await,
        Fault::FreezeHost { service, .. } => processes::freeze_host(arena, named(service)?, ms).await?,
        Fault::Roll { services } => processes::roll(arena, services).await?,
        Fault::Break { service, link, how, .. } => network::break_one(arena, named(service)?, *link, *how, ms).await,
        Fault::BreakAll { link, how, .. } => network::break_all(arena, *link, *how, ms).await,
        Fault::Withhold { service, reply, times, .. } => network::withhold(named(service)?, *reply, *times, ms).await,
        Fault::StopRabbitmq { .. } => return servers::stop_rabbitmq(arena, ms).await,
        Fault::AlarmRabbitmq { .. } => return servers::alarm_rabbitmq(arena, ms).await,
        Fault::DeleteQueue => return Ok(servers::delete_queue(arena).await),
        Fault::CrashPostgres { .. } => return servers::crash_postgres(arena, ms).await,
        Fault::TerminateBackends { count } => return Ok(servers::terminate_backends(arena, *count).await),
        Fault::ReplayTickets { count } => return Ok(Outcome::of(arena.replay.some(*count).await)),
    }
    Ok(Outcome::Done)
}

/// Waits while something is broken.
pub(super) async fn meanwhile(ms: Duration) {
    sleep(ms).await;
}
