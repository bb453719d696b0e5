//! What is to go up, sent batch by batch; what the server refuses is found, told and left out, and the rest goes.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    batch::Batch,
    error::SyncError,
    folder::{Folder, Head, State},
    index::Seen,
    plan::Plan,
    scan::Scan,
    up::{self, Sent},
};
use crate::archive::Known;

/// Bytes of a file in an archive as long as the API takes where nothing else is set.
const LARGEST: u64 = (1 << 30) - (1 << 20);
/// Paths refused one by one; if there are more, it is not about them.
const REFUSED: u32 = 16;

impl Folder {
    /// Takes out of a plan what the server does not take.
    pub(super) fn leave_out(&self, state: &mut State, plan: &mut Plan, scan: &Scan) {
        let known = |path: &str| scan.seen.get(path).map(|seen| &seen.known);
        state.refused.retain(|path, refused| known(path) == Some(refused));
        for path in plan.puts.iter().filter_map(|path| path.to_str()) {
            if let Some(known @ Known::File { size: LARGEST.., .. }) = known(path) {
                self.note(state, &format!("left out '{path}': it has {LARGEST} bytes or more"));
                state.refused.insert(path.to_owned(), known.clone());
            }
        }
        let goes = |path: &str| !state.refused.contains_key(path);
        plan.puts.retain(|path| path.to_str().is_none_or(goes));
        plan.over.retain(|path| goes(path));
    }

    /// Which of these are in no version, as the server takes them in none.
    pub(crate) async fn left_out<'p>(&self, paths: impl Iterator<Item = &'p String>) -> Vec<&'p String> {
        let state = self.state.lock().await;
        paths.filter(|path| state.refused.contains_key(*path)).collect()
    }

    /// Sends what is to go up; the version that came of it. `None`: it did not follow the newest.
    pub(super) async fn send(
        &self,
        state: &mut State,
        mut head: Head,
        plan: &Plan,
        scan: &Scan,
    ) -> Result<Option<Head>, SyncError> {
        for path in &plan.over {
            self.events.warn(&format!(
                "'{path}' was changed here and in version {}: what is here goes up, the other stays in the history",
                head.version
            ));
        }
        let mut batches = VecDeque::from(Batch::all_of(plan, &scan.seen));
        let _sending = (!batches.is_empty()).then(|| Sending::begin(&self.sending));
        let mut refused = 0;
        while let Some(batch) = batches.pop_front() {
            let error = match up::send(&self.client, &self.project, &self.root, head.version, &batch).await {
                Ok(Sent::Made { version, put }) => {
                    self.sent(state, &mut head, &batch, version, put)?;
                    continue;
                }
                Ok(Sent::Stale) => return Ok(None),
                Err(error) => error,
            };
            if !error.is_of_content() {
                return Err(error);
            }
            if let Some((first, second)) = batch.halves() {
                batches.push_front(second);
                batches.push_front(first);
                continue;
            }
            let known = batch.only().and_then(|path| Some((path, scan.seen.get(path)?.known.clone())));
            match known {
                Some((path, known)) if refused < REFUSED && !error.is_late() => {
                    refused += 1;
                    self.note(state, &format!("left out '{path}': the server refuses it: {error}"));
                    state.refused.insert(path.to_owned(), known);
                }
                _ => return Err(error),
            }
        }
        Ok(Some(head))
    }

    /// Both have it now.
    fn sent(
        &self,
        state: &mut State,
        head: &mut Head,
        batch: &Batch,
        version: u64,
        put: Vec<(String, Known)>,
    ) -> Result<(), SyncError> {
        if version > head.version {
            state.index.made = Some(version);
        }
        head.version = version;
        if !batch.removals.is_empty() {
            // There may be room now.
            state.refused.clear();
        }
        for gone in &batch.removals {
            let below = format!("{gone}/");
            let stays = |path: &str| path != gone && !path.starts_with(&below);
            head.tree.retain(|path, _| stays(path));
            state.index.base.retain(|path, _| stays(path));
        }
        for (path, known) in put {
            state.index.base.insert(path.clone(), Seen { known: known.clone(), stat: None });
            head.tree.insert(path, known);
        }
        Ok(state.index.save(&self.index_path)?)
    }
}

/// Something is on its way for as long as this is held, however that ends.
struct Sending<'a>(&'a AtomicBool);

impl<'a> Sending<'a> {
    fn begin(is: &'a AtomicBool) -> Self {
        is.store(true, Ordering::Relaxed);
        Self(is)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
