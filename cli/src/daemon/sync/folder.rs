//! The folder and its project's newest version, made alike again and again. Whoever asks waits for those who asked before.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use drydock_client::{Client, ClientError};
use tokio::sync::{Mutex, Notify};

use super::{
    down::{DownError, Source},
    index::{Index, Seen},
    plan::Plan,
    scan::{Scan, scan},
    up::{self, Sent},
};
use crate::{
    archive::{self, Known},
    daemon::events::Events,
};

/// Comparisons in one go, each of which found that something had changed meanwhile.
const ROUNDS: u32 = 8;

/// Files and links by path, as they were at one moment.
pub(crate) type Snapshot = BTreeMap<String, Known>;

/// The folder. Cheap to share.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    project: String,
    client: Client,
    index_path: PathBuf,
    events: Arc<Events>,
    state: Mutex<State>,
    sending: AtomicBool,
    /// The newest version that was heard of.
    heard: AtomicU64,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    index: Index,
    /// What was seen last, which spares reading it again.
    seen: HashMap<String, Seen>,
    head: Option<Head>,
    /// Told once each.
    notes: HashSet<String>,
}

/// A version and what it has.
#[derive(Debug)]
struct Head {
    version: u64,
    tree: HashMap<String, Known>,
}

/// How much the newest version is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The one that is known will do, where something is to be sent: the server refuses what does not follow the newest.
    Known,
    /// The server is asked.
    Newest,
}

impl Folder {
    /// The folder at `root`, with what is known of it on disk.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn open(
        root: PathBuf,
        project: String,
        client: Client,
        index_path: PathBuf,
        events: Arc<Events>,
    ) -> io::Result<Self> {
        let index = Index::load(&index_path)?;
        let heard = AtomicU64::new(index.version.unwrap_or_default());
        let state = State { seen: index.seen(), index, head: None, notes: HashSet::new() };
        Ok(Self {
            root,
            project,
            client,
            index_path,
            events,
            state: Mutex::new(state),
            sending: AtomicBool::new(false),
            heard,
            moved: Notify::new(),
        })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Whether changes are on their way.
    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    /// The server says that this is the newest version.
    pub(crate) fn hears(&self, head: u64) {
        if self.heard.swap(head, Ordering::Relaxed) != head {
            self.moved.notify_one();
        }
    }

    /// Resolves when the newest version is another than was heard of before.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Makes both alike; answers with the version that they are alike at.
    ///
    /// # Errors
    /// The server or the disk fails; what was done until then counts, and the next time goes on with the rest.
    pub(crate) async fn sync(&self, look: Look) -> Result<u64, SyncError> {
        let mut state = self.state.lock().await;
        let outcome = self.rounds(&mut state, look).await;
        self.sending.store(false, Ordering::Relaxed);
        if outcome.is_err() {
            // What was sent may have arrived all the same.
            state.head = None;
        }
        outcome
    }

    /// What the folder has now, without what does not go up.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) async fn snapshot(&self) -> io::Result<Snapshot> {
        let mut state = self.state.lock().await;
        let scan = self.scan(&mut state, HashSet::new()).await?;
        let files = scan.seen.iter().filter(|(_, seen)| seen.known != Known::Dir);
        Ok(files.map(|(path, seen)| (path.clone(), seen.known.clone())).collect())
    }

    async fn rounds(&self, state: &mut State, mut look: Look) -> Result<u64, SyncError> {
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

    async fn scan(&self, state: &mut State, also: HashSet<String>) -> io::Result<Scan> {
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

impl Index {
    /// Both sides have this at a path; answers whether that is news.
    fn agree(&mut self, path: &str, known: Option<&Known>, seen: Option<&Seen>) -> bool {
        let Some(known) = known else {
            return self.base.remove(path).is_some();
        };
        let stat = seen.and_then(|seen| seen.stat);
        let now = Seen { known: known.clone(), stat };
        if self.base.get(path) == Some(&now) {
            return false;
        }
        self.base.insert(path.to_owned(), now);
        true
    }
}

/// Why they are not alike.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The server refuses, or stays away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The folder cannot be read or written.
    #[error("cannot read or write the folder")]
    Disk(#[from] io::Error),
    /// Something changes again and again.
    #[error("the folder or the newest version changes faster than they can be compared")]
    Unsettled,
}

impl SyncError {
    /// Whether the server refuses what is sent, and will as long as the folder is as it is.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Client(ClientError::Refused(refusal)) if matches!(refusal.status.as_u16(), 400 | 403 | 413 | 415 | 422))
    }
}

impl From<DownError> for SyncError {
    fn from(error: DownError) -> Self {
        match error {
            DownError::Client(error) => Self::Client(error),
            DownError::Disk(error) => Self::Disk(error),
        }
    }
}

/// Between two tries while the server is away.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
