//! From the plan to the deed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::sleep;

use super::{Fault, network, processes, servers};
use crate::chaos::{
    fleet::{Common, Fleet},
    replay::Replay,
    servers::Servers,
};

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
        Self { fleet, servers, common, replay, outages: Mutex::default() }
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

/// Lets a fault happen and heals it.
///
/// # Errors
/// It could not be carried out or healed.
pub(crate) async fn carry_out(arena: &Arena, fault: &Fault) -> Result<()> {
    let ms = Duration::from_millis(fault.length());
    match fault {
        Fault::Kill { service, .. } => processes::kill(arena.fleet.named(service)?, ms).await,
        Fault::Freeze { service, .. } => processes::freeze(arena, arena.fleet.named(service)?, ms).await,
        Fault::FreezeHost { service, .. } => processes::freeze_host(arena, arena.fleet.named(service)?, ms).await?,
        Fault::Roll { services } => processes::roll(arena, services).await?,
        Fault::Break { service, link, how, .. } => {
            network::break_one(arena, arena.fleet.named(service)?, *link, *how, ms).await;
        }
        Fault::BreakAll { link, how, .. } => network::break_all(arena, *link, *how, ms).await,
        Fault::Withhold { service, reply, times, .. } => {
            network::withhold(arena.fleet.named(service)?, *reply, *times, ms).await;
        }
        Fault::StopRabbitmq { .. } => servers::stop_rabbitmq(arena, ms).await?,
        Fault::AlarmRabbitmq { .. } => servers::alarm_rabbitmq(arena, ms).await?,
        Fault::DeleteQueue => servers::delete_queue(arena).await?,
        Fault::CrashPostgres { .. } => servers::crash_postgres(arena, ms).await?,
        Fault::TerminateBackends { count } => servers::terminate_backends(arena, *count).await?,
        Fault::ReplayTickets { count } => arena.replay.some(*count).await?,
    }
    Ok(())
}

/// Waits while something is broken.
pub(super) async fn meanwhile(ms: Duration) {
    sleep(ms).await;
}
