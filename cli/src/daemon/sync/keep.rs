//! Comparing for as long as the daemon runs.

use std::time::Duration;

use drydock_runtime::{Backoff, exit::chain};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    folder::{Folder, Look, RETRY},
    watch::Watch,
};
use crate::daemon::events::Events;

/// Between two comparisons when nothing was told: for what no event tells.
const NET: Duration = Duration::from_secs(60);
/// The same where nothing is watched.
const UNWATCHED: Duration = Duration::from_secs(2);

/// Keeps the folder like the newest version until `stop`.
pub(crate) async fn keep(folder: &Folder, events: &Events, stop: &CancellationToken) {
    let mut watch = begin(folder).await;
    let (mut look, mut backoff) = (Look::Newest, Backoff::new(RETRY.0, RETRY.1));
    let mut told = String::new();
    loop {
        if let Some(failure) = &watch.failure {
            events.once(&format!("changes are looked for every 2 s: the folder cannot be watched: {failure}"));
        }
        let outcome = tokio::select! {
            outcome = folder.sync(look) => outcome,
            () = stop.cancelled() => return,
        };
        let pause = match outcome {
            Ok(_) => {
                backoff.reset();
                told.clear();
                if watch.failure.is_some() { UNWATCHED } else { NET }
            }
            Err(error) => {
                let text = format!("not in step with the project, trying again: {}", chain(&error));
                if text != told {
                    events.warn(&text);
                    told = text;
                }
                RETRY.0 / 2 + backoff.next_delay()
            }
        };
        look = tokio::select! {
            () = watch.changed() => Look::Known,
            () = folder.moved() => Look::Newest,
            () = sleep(pause) => Look::Newest,
            () = stop.cancelled() => return,
        };
        if watch.is_stale(folder.root()) {
            watch = begin(folder).await;
        }
    }
}

/// A large tree takes its time.
async fn begin(folder: &Folder) -> Watch {
    let root = folder.root().to_owned();
    let begun = tokio::task::spawn_blocking(move || Watch::begin(&root)).await;
    begun.unwrap_or_else(|error| Watch::none(error.to_string()))
}
