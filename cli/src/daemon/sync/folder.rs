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

use drydock_client::Client;
use tokio::sync::{Mutex, Notify};

use super::{
    before::{Before, Befores},
    error::SyncError,
    index::{Index, Seen},
};
use crate::{archive::Known, daemon::events::Events};

/// Files and links by path, as they were at one moment.
pub(crate) type Snapshot = BTreeMap<String, Known>;

/// The folder. Cheap to share.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) root: PathBuf,
    pub(super) project: String,
    pub(super) client: Client,
    pub(super) index_path: PathBuf,
    pub(super) events: Arc<Events>,
    pub(super) state: Mutex<State>,
    pub(super) sending: AtomicBool,
    /// The newest version that was heard of.
    pub(super) heard: AtomicU64,
    pub(super) moved: Notify,
    pub(super) befores: Befores,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) index: Index,
    /// What was seen last, which spares reading it again.
    pub(super) seen: HashMap<String, Seen>,
    pub(super) head: Option<Head>,
    /// What the server took in no version, as it was: not sent again before it is otherwise.
    pub(super) refused: HashMap<String, Known>,
    /// Told once each.
    pub(super) notes: HashSet<String>,
}

/// A version and what it has.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) version: u64,
    pub(super) tree: HashMap<String, Known>,
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
        let state = State { seen: index.seen(), index, head: None, refused: HashMap::new(), notes: HashSet::new() };
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
            befores: Befores::default(),
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
        if outcome.is_err() {
            // What was sent may have arrived all the same.
            state.head = None;
        }
        outcome
    }

    /// The last version that was made of changes in the folder.
    pub(crate) async fn made(&self) -> Option<u64> {
        self.state.lock().await.index.made
    }

    /// What the folder has now, for [`Self::since`].
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) async fn before(&self) -> io::Result<Before> {
        let mut state = self.state.lock().await;
        Ok(self.befores.begin(self.snapshot(&mut state).await?))
    }

    /// What the folder had before, with what came down since, and what it has now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) async fn since(&self, before: &Before) -> io::Result<(Snapshot, Snapshot)> {
        // Nothing comes down between the two.
        let mut state = self.state.lock().await;
        let now = self.snapshot(&mut state).await?;
        Ok((before.snapshot(), now))
    }

    /// Without what does not go up.
    async fn snapshot(&self, state: &mut State) -> io::Result<Snapshot> {
        let scan = self.scan(state, HashSet::new()).await?;
        let files = scan.seen.iter().filter(|(_, seen)| seen.known != Known::Dir);
        Ok(files.map(|(path, seen)| (path.clone(), seen.known.clone())).collect())
    }
}

/// Between two tries while the server is away.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
