//! One comparison after the other, until both are alike.

use std::{collections::HashSet, io, sync::atomic::Ordering};

use drydock_client::ClientError;

use super::{
    down::Source,
    error::SyncError,
    folder::{Folder, Head, Look, State},
    index::{Index, Root, Whose},
    plan::Plan,
    scan::{Scan, scan},
};
use crate::archive::{self, Known};

/// Comparisons in one go, each of which found that something had changed meanwhile.
const ROUNDS: u32 = 8;

impl Folder {
    /// Compares until both are alike.
    pub(super) async fn rounds(&self, state: &mut State, mut look: Look) -> Result<u64, SyncError> {
        for left in (0..ROUNDS).rev() {
            self.look_up(state, look).await?;
            match self.round(state, left == 0).await? {
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
            self.note(state, note);
        }
        Ok(scan)
    }

    /// Compares once, and does what is to be done. `None`: the version has changed meanwhile, or the folder.
    /// In the last round, what changes here again and again waits for another time.
    async fn round(&self, state: &mut State, is_last: bool) -> Result<Option<u64>, SyncError> {
        let Some(head) = state.head.take() else { return Ok(None) };
        let Index { base, coming, .. } = &state.index;
        let also: HashSet<String> = head.tree.keys().chain(base.keys()).chain(coming.keys()).cloned().collect();
        let scan = self.scan(state, also).await?;
        if self.is_strange(state, scan.root, head.version) {
            state.head = Some(head);
            return Ok(None);
        }
        let was = state.index.version;
        if was != Some(head.version) {
            // Somebody else's version may have made room for what was refused.
            state.refused.clear();
        }
        let mut changed = self.recall(state, &scan);
        let mut plan = Plan::make(&scan, &state.index.base, &head.tree);
        self.leave_out(state, &mut plan, &scan);
        let before = state.index.base.len();
        for path in &plan.same {
            changed |= state.index.agree(path, head.tree.get(path), scan.seen.get(path));
        }
        changed |= before != state.index.base.len();
        let failed = match self.bring(state, &head, &plan, &scan).await? {
            Fetched::Failed(error) => Some(error),
            Fetched::Stale if !is_last => {
                state.head = Some(head);
                return Ok(None);
            }
            Fetched::All | Fetched::Stale => None,
        };
        if changed && plan.sends() {
            // Both agree on it, whatever becomes of the rest.
            state.index.save(&self.index_path)?;
        }
        let Some(head) = self.send(state, head, &plan, &scan).await? else { return Ok(None) };
        let now = head.version;
        state.head = Some(head);
        if let Some(error) = failed {
            return Err(error.into());
        }
        state.index.version = Some(now);
        if changed || was != Some(now) || plan.sends() || !plan.downs.is_empty() {
            state.index.save(&self.index_path)?;
        }
        if was != Some(now) {
            self.heard.store(now, Ordering::Relaxed);
            self.events.synced(now);
        }
        Ok(Some(now))
    }

    /// Whether what is known is of another folder, another project or another course of its versions; it is forgotten then. Without a
    /// base nothing is removed on either side.
    fn is_strange(&self, state: &mut State, root: Root, head: u64) -> bool {
        let whose = Some(Whose { project: self.project.clone(), root });
        let went_back = state.index.version > Some(head);
        if state.index.whose == whose && !went_back {
            return false;
        }
        if went_back {
            self.events.warn(&format!(
                "the newest version is {head}, where it was {} before: what is in the folder stays and goes up where it differs",
                state.index.version.unwrap_or_default()
            ));
        }
        let knew = std::mem::replace(&mut state.index, Index { whose, ..Index::default() });
        // What was seen there says nothing of this one either.
        state.seen.clear();
        knew != Index::default()
    }

    /// What came down although not all of it did: both had it. Whoever changed it there since changed nothing here.
    fn recall(&self, state: &mut State, scan: &Scan) -> bool {
        let coming = std::mem::take(&mut state.index.coming);
        for (path, known) in &coming {
            let seen = scan.seen.get(path);
            if scan.is_unclear(path) {
                continue;
            }
            if seen.map(|seen| &seen.known) == known.as_ref() {
                state.index.agree(path, known.as_ref(), seen);
                self.came(path, known.as_ref(), scan);
            } else if seen.is_none() && state.index.turns(path, known.as_ref()) {
                // It made room for what has not come: nobody here took it away.
                state.index.base.remove(path);
            }
        }
        !coming.is_empty()
    }

    fn came(&self, path: &str, known: Option<&Known>, scan: &Scan) {
        if !scan.ignored.covers(path, known == Some(&Known::Dir)) {
            self.befores.came(path, known);
        }
    }

    async fn bring(&self, state: &mut State, head: &Head, plan: &Plan, scan: &Scan) -> Result<Fetched, SyncError> {
        if plan.downs.is_empty() {
            return Ok(Fetched::All);
        }
        let Head { version, tree } = head;
        state.index.coming = plan.downs.iter().map(|path| (path.clone(), tree.get(path).cloned())).collect();
        state.index.save(&self.index_path)?;
        let source =
            Source { client: &self.client, project: &self.project, version: *version, head: tree, root: &self.root };
        let brought = source.bring(&plan.downs, scan).await?;
        let done: HashSet<&String> = brought.done.iter().collect();
        state.index.coming.retain(|path, _| !done.contains(path));
        for path in &brought.done {
            state.index.agree(path, tree.get(path), None);
            self.came(path, tree.get(path), scan);
        }
        for note in &brought.notes {
            self.note(state, note);
        }
        state.index.save(&self.index_path)?;
        Ok(match brought.failed {
            Some(error) => Fetched::Failed(error),
            None if brought.is_stale => Fetched::Stale,
            None => Fetched::All,
        })
    }

    pub(super) fn note(&self, state: &mut State, note: &str) {
        if state.notes.insert(note.to_owned()) {
            self.events.warn(note);
        }
    }
}

/// What became of what was to come down.
enum Fetched {
    /// It is there, but for what cannot be: that was told.
    All,
    /// Something was changed here meanwhile.
    Stale,
    /// The disk fails.
    Failed(io::Error),
}
