//! One thread brings data files to the disk, one after the other, so that no job waits for a disk and no two syncs compete.

use std::sync::mpsc;

use super::data::Unsynced;

/// The queue of that thread, which ends with it.
#[derive(Debug)]
pub(super) struct Syncing {
    queue: mpsc::Sender<Unsynced>,
}

impl Syncing {
    pub(super) fn start() -> std::io::Result<Self> {
        let (queue, work) = mpsc::channel::<Unsynced>();
        std::thread::Builder::new().name("cache-sync".to_owned()).spawn(move || {
            for unsynced in work {
                if let Err(error) = unsynced.sync() {
                    tracing::warn!(%error, "the disk did not take contents of the cache: they are fetched again");
                }
            }
        })?;
        Ok(Self { queue })
    }

    pub(super) fn send(&self, unsynced: Unsynced) {
        // The thread lives as long as this queue.
        let _alive = self.queue.send(unsynced);
    }
}
