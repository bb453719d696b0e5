//! What is known of a run at some moment, from all sides.

use std::sync::atomic::Ordering;

use anyhow::Result;
use tokio_postgres::Client;

use super::{
    effects::{Effect, Seen},
    history::History,
    rows,
    run::Run,
    side_log,
};

/// The history so far, without what only the end shows: the heads' files and the survivors.
pub(super) async fn history(run: &Run, client: &Client) -> Result<History> {
    let rows = rows::read(client).await?;
    let mut lines = side_log::read(&run.evidence.side_log())?;
    lines.sort_by_key(|line| line.at);
    Ok(History {
        accepted: run.ledger.all_accepted(),
        canceled: run.ledger.canceled(),
        sightings: run.ledger.sightings(),
        lines,
        jobs: rows.jobs,
        attempts: rows.attempts,
        versions: rows.versions,
        heads: rows.heads,
        helpless: run.arena.fleet.services().iter().flat_map(|service| service.helpless()).collect(),
        ..History::default()
    })
}

/// What happened so far.
pub(super) fn effects(run: &Run, history: &History) -> Vec<Effect> {
    let seen = Seen {
        history,
        ledger: &run.ledger,
        metrics: &run.metrics,
        fleet: &run.arena.fleet,
        outages: &run.arena.outages(),
        stale_sent: run.arena.replay.sent(),
        can_cancel: run.can_cancel.load(Ordering::Relaxed),
    };
    seen.effects()
}
