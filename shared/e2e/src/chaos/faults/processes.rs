//! Processes that die, freeze, or are asked to go.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::Utc;
use rustix::process::{Pid, Signal, kill_process};

use super::carry_out::{Arena, meanwhile};
use crate::chaos::{
    fleet::{Role, Service},
    marked,
};

/// How long an orderly stop may take: the drain, handing back, and a busy machine.
const STOP: Duration = Duration::from_secs(40);

pub(super) async fn kill(service: &Service, ms: Duration) {
    let _alone = service.alone().await;
    service.kill();
    meanwhile(ms).await;
    service.revive();
}

pub(super) async fn freeze(arena: &Arena, service: &Service, ms: Duration) {
    let _alone = service.alone().await;
    let from = Utc::now();
    service.freeze();
    meanwhile(ms).await;
    service.thaw();
    if service.role == Role::Worker {
        arena.outage(Some(&service.name), from);
    }
}

/// The worker freezes first: what it starts while its agents are being frozen would be missed. It thaws last: it may want to
/// freeze them itself, and that must not be undone.
pub(super) async fn freeze_host(arena: &Arena, service: &Service, ms: Duration) -> Result<()> {
    let _alone = service.alone().await;
    let from = Utc::now();
    service.freeze();
    let agents = marked::below(&service.scratch)?;
    signal(&agents, Signal::STOP);
    meanwhile(ms).await;
    signal(&agents, Signal::CONT);
    service.thaw();
    arena.outage(Some(&service.name), from);
    Ok(())
}

fn signal(agents: &[Pid], signal: Signal) {
    for agent in agents {
        // It may have ended meanwhile.
        let _ended = kill_process(*agent, signal);
    }
}

pub(super) async fn roll(arena: &Arena, services: &[String]) -> Result<()> {
    let mut bad = Vec::new();
    for name in services {
        let service = arena.fleet.named(name)?;
        let _alone = service.alone().await;
        bad.extend(service.stop(STOP).await);
        service.revive();
    }
    ensure!(bad.is_empty(), "{}", bad.join("; "));
    Ok(())
}
