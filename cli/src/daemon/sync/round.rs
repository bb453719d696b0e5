//! One comparison after the other, until both are alike.

use std::{collections::HashSet, io, sync::atomic::Ordering};

use drydock_client::ClientError;

use super::{
    down::Source,
    error::SyncError,
    folder::{Folder, Head, Look, State},
    index::{Index, Seen},
    plan::Plan,
    scan::{Scan, scan},
    up::{self, Sent},
};
use crate::archive;

/// Comparisons in one go, each of which found that something had changed meanwhile.
const ROUNDS: u32 = 8;

impl Folder {
    /// Compares until both are alike.
    pub(super) async fn rounds(&self, state: &mut State, mut look: Look) -> Result<u64, SyncError> {
        for _ in 0..ROUNDS {
            self.look_up(state, look).await?;
            match self.round(state).await? {
                Some(version) => return Ok(version),
                None => look = Look::Newest,
            }
        }
        Err(SyncError::Unsettled)
    }

    /// Knows the newest version from here on.
    async fn look_up(&self, state: &mut State, look: Look) -> Result<(), SyncError> {
        if let Some(head) = &state.head {
            let known = head.version == self.heard.load(Ordering::Relaxed).max(head.version);
            if look == Look::Known && known || self.newest().await? == head.version {
                return Ok(());
            }
        }
        let tell = |text: &str| self.events.warn(text);
        let (version, tree) = archive::listing(&self.client, &self.project, tell).await?;
        state.head = Some(Head { version, tree });
        Ok(())
    }

    async fn newest(&self) -> Result<u64, ClientError> {
        Ok(self.client.project(&self.project).await?.value.head_version)
    }

    /// What the folder has, and of what does not go up `also`.
    pub(super) async fn scan(&self, state: &mut State, also: HashSet<String>) -> io::Result<Scan> {
        let (root, before) = (self.root.clone(), std::mem::take(&mut state.seen));
        let look = move || {
            let scan = scan(&root, &before, &also);
            (scan, before)
        };
        let (scan, before) = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
        let scan = scan.inspect_err(|_| state.seen = before)?;
        state.seen.clone_from(&scan.seen);
        for note in &scan.notes {
            if state.notes.insert(note.clone()) {
                self.events.warn(note);
            }
        }
        Ok(scan)
    }

    /// Compares once, and does what is to be done. `None`: the version has changed meanwhile, or the folder.
    async fn round(&self, state: &mut State) -> Result<Option<u64>, SyncError> {
        let Some(head) = state.head.take() else { return Ok(None) };
        let also: HashSet<String> = head.tree.keys().chain(state.index.base.keys()).cloned().collect();
        let scan = self.scan(state, also).await?;
        if state.index.root != scan.root {
            // Another folder is in its place: what the one before had says nothing of this one.
            state.index = Index { root: scan.root, ..Index::default() };
        }
        let plan = Plan::make(&scan, &state.index.base, &head.tree);
        let before = (state.index.base.len(), state.index.version);
        let mut changed = false;
        for path in &plan.same {
            changed |= state.index.agree(path, head.tree.get(path), scan.seen.get(path));
        }
        let version = if plan.downs.is_empty() {
            head.version
        } else {
            changed |= self.bring(state, &head, &plan, &scan).await?;
            head.version
        };
        state.index.version = Some(version);
        let sent = if plan.sends() { self.send(state, head, &plan).await? } else { Some(head) };
        changed |= before != (state.index.base.len(), state.index.version) || plan.sends();
        let Some(head) = sent else {
            return Ok(None);
        };
        let now = head.version;
        state.index.version = Some(now);
        state.head = Some(head);
        if changed {
            state.index.save(&self.index_path)?;
        }
        if before.1 != Some(now) {
            self.heard.store(now, Ordering::Relaxed);
            self.events.synced(now);
        }
        Ok(Some(now))
    }

    async fn bring(&self, state: &mut State, head: &Head, plan: &Plan, scan: &Scan) -> Result<bool, SyncError> {
        let Head { version, tree } = head;
        let source =
            Source { client: &self.client, project: &self.project, version: *version, head: tree, root: &self.root };
        let brought = source.bring(&plan.downs, scan).await?;
        for path in &brought.done {
            state.index.agree(path, tree.get(path), None);
        }
        for note in brought.notes {
            if state.notes.insert(note.clone()) {
                self.events.warn(&note);
            }
        }
        Ok(!brought.done.is_empty())
    }

    /// Sends what is to go up; the version that came of it. `None`: it did not follow the newest.
    async fn send(&self, state: &mut State, head: Head, plan: &Plan) -> Result<Option<Head>, SyncError> {
        self.sending.store(true, Ordering::Relaxed);
        for path in &plan.over {
            self.events.warn(&format!(
                "'{path}' was changed here and in version {}: what is here goes up, the other stays in the history",
                head.version
            ));
        }
        let sent = up::send(&self.client, &self.project, &self.root, head.version, plan).await?;
        let Sent::Made { version, put } = sent else { return Ok(None) };
        let Head { mut tree, .. } = head;
        for gone in &plan.removals {
            let below = format!("{gone}/");
            tree.retain(|path, _| path != gone && !path.starts_with(&below));
            state.index.base.retain(|path, _| path != gone && !path.starts_with(&below));
        }
        for (path, known) in put {
            state.index.base.insert(path.clone(), Seen { known: known.clone(), stat: None });
            tree.insert(path, known);
        }
        Ok(Some(Head { version, tree }))
    }
}
