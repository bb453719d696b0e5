//! The loops, one file each: idempotent, bounded, and told nothing about what changed.

mod ahead;
mod batches;
mod chain;
mod collect;
mod counts;
mod dead;
mod due;
mod forget;
mod gauges;
mod hints;
mod horizon;
mod offers;
mod pace;
mod reap;
mod relay;
mod rest;
mod schedules;
mod seal;
mod sessions;
mod tickets;
mod usage;
mod webhook_log;
mod webhooks;
mod workspaces;

use std::{future::Future, sync::Arc, time::Duration};

use drydock_runtime::{
    periodic::{self, Next, Schedule},
    tasks,
};
use tokio::{sync::Notify, task::JoinHandle};

use self::{
    ahead::Ahead, collect::Collection, counts::Counts, gauges::Gauges, hints::Hints, horizon::Horizon, reap::Reaper,
    tickets::Tickets, webhook_log::WebhookLog, webhooks::Webhooks,
};
use crate::{context::Context, webhooks::Courier};

/// Shortest time between two looks that every wake-up asks for.
const SOON: Duration = Duration::from_millis(100);

/// The same where each look takes few, because one receiver shall not get all.
const BRIEFLY: Duration = Duration::from_millis(50);

/// Starts every loop; they end with the context's shutdown.
pub(crate) fn start(context: &Context, courier: Option<Courier>) -> Vec<JoinHandle<()>> {
    let (repair, poll, wakes) = (context.config.repair_period, context.config.dispatch_poll, &context.wakes);
    let stop = || context.shutdown.clone();
    let tickets = Tickets::new(context.clone()).run(woken("tickets", poll, Duration::ZERO, &wakes.tickets), stop());
    let hints = Hints::new(context.clone()).run(woken("hints", repair, SOON, &wakes.hints), stop());
    let told = courier.map(|courier| {
        Webhooks::new(context.clone(), courier).run(woken("webhooks", repair, BRIEFLY, &wakes.webhooks), stop())
    });
    let mut loops = vec![
        tasks::spawn("tickets", tickets),
        tasks::spawn("hints", hints),
        tasks::spawn("ahead", Ahead::new(context.clone()).run(every("ahead", repair), stop())),
        tasks::spawn("dead letters", dead::run(context.clone())),
        tasks::spawn("reap", Reaper::new(context.clone()).run(every("reap", repair), stop())),
        tasks::spawn("gauges", Gauges::new(context.clone()).run(every("gauges", repair * 5), stop())),
        tasks::spawn("counts", Counts::new(context.clone()).run(every("counts", repair), stop())),
        tasks::spawn("horizon", Horizon::new(context.clone()).run(every("horizon", repair * 5), stop())),
        spawn(context, woken("due", repair, SOON, &wakes.waits), due::run_once),
        spawn(context, woken("batches", repair, SOON, &wakes.batches), batches::run_once),
        spawn(context, every("chain", repair), chain::run_once),
        spawn(context, every("schedules", repair), schedules::run_once),
        spawn(context, every("usage", repair), usage::run_once),
        spawn(context, every("seal", repair * 10), seal::run_once),
        spawn(context, every("forget", repair * 10), forget::run_once),
        spawn(context, every("sessions", repair), sessions::run_once),
        spawn(context, every("workspaces", repair), workspaces::run_once),
        tasks::spawn(
            "collect",
            Collection::new(context.clone()).run(every("collect", context.config.gc_period), stop()),
        ),
        tasks::spawn("webhook log", WebhookLog::new(context.clone()).run(every("webhook log", repair * 5), stop())),
    ];
    loops.extend(told.map(|told| tasks::spawn("webhooks", told)));
    loops
}

fn every(name: &'static str, period: Duration) -> Schedule {
    woken(name, period, Duration::ZERO, &Arc::default())
}

fn woken(name: &'static str, period: Duration, pause: Duration, wake: &Arc<Notify>) -> Schedule {
    Schedule { name, period, pause, wake: wake.clone() }
}

/// For loops that remember nothing.
fn spawn<F, Fut, E>(context: &Context, schedule: Schedule, once: F) -> JoinHandle<()>
where
    F: Fn(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Next, E>> + Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let (context, shutdown) = (context.clone(), context.shutdown.clone());
    tasks::spawn(schedule.name, periodic::run(schedule, shutdown, move || once(context.clone())))
}
