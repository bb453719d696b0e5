//! Scratch: where workspaces live on this machine's disk.
//!
//! Owns the layout below the scratch directory and its life cycle. Each attempt has its private directories:
//! ```text
//! <root>/.lock                            held while this worker runs
//! <root>/<shelf>/<attempt>-<random>       the workspace
//! <root>/<shelf>/<attempt>-<random>.home  HOME of the agent
//! <root>/<shelf>/<attempt>-<random>.tmp   TMPDIR of the agent
//! <root>/<shelf>/<attempt>-<random>.packs packs on their way to storage, made with the first; not the agent's
//! <root>/<shelf>/<attempt>-<random>.layer what changes, where the workspace is a mount; not the agent's
//! <root>/cache                            the node cache, unless it is elsewhere
//! ```
//! Refuses a root that another worker uses: whoever sweeps leftovers must be alone.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drydock_domain::AttemptId;
use drydock_files::{Leftovers, names, open_directory};
use rustix::fs::{AtFlags, FlockOperation, Mode, chmodat, flock, mkdirat, statvfs};

use super::{
    WorkspaceError, remove_tree,
    shelves::{Shelf, Shelves},
};
use crate::{
    cache::{Lower, is_disk_full},
    mount,
};

const LOCK: &str = ".lock";
const MADE: [&str; 3] = ["", ".home", ".tmp"];
const PACKS: &str = ".packs";
const LAYER: &str = ".layer";
/// The node cache, where no other place is set for it.
pub(crate) const CACHE: &str = "cache";
/// Results that were not told yet; they outlive the worker.
pub(crate) const SPOOL: &str = "spool";

/// The scratch directory, held exclusively until dropped.
#[derive(Clone, Debug)]
pub struct ScratchRoot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    directory: OwnedFd,
    shelves: Shelves,
    _lock: File,
}

impl ScratchRoot {
    /// Takes the directory at `path`, made if missing. Fails if it is another worker's, not writable, or has less than
    /// `min_free` bytes free. Blocking.
    pub fn open(path: &Path, min_free: u64) -> Result<Self, WorkspaceError> {
        let failed = |source| WorkspaceError::Root { path: path.to_owned(), source };
        fs_err::create_dir_all(path).map_err(failed)?;
        // Absolute, because agents are told the paths and run elsewhere.
        let path = fs_err::canonicalize(path).map_err(failed)?;
        let directory = open_directory(&path).map_err(|errno| failed(errno.into()))?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(WorkspaceError::RootBusy { path }),
            Err(errno) => return Err(failed(errno.into())),
        }
        // Made like any other file, so that a read-only or full file system shows now and not with the first job.
        tempfile::tempfile_in(&path).map_err(failed)?;
        let free = statvfs(&path).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let free = free.map_err(|errno| failed(errno.into()))?;
        if free < min_free {
            return Err(WorkspaceError::RootFull { path, free, needed: min_free });
        }
        let shelves = Shelves::open(&path, &directory).map_err(failed)?;
        Ok(Self { inner: Arc::new(Inner { path, directory, shelves, _lock: lock }) })
    }

    /// Removes everything a worker that died left behind; returns how many entries there were. Blocking, and only
    /// before any [`Self::create`].
    pub fn sweep(&self) -> Result<u64, WorkspaceError> {
        let Inner { path, directory, shelves, .. } = &*self.inner;
        let failed = |source| WorkspaceError::Root { path: path.clone(), source };
        mount::unmount_below(path).map_err(failed)?;
        let mut swept = sweep(directory, path, |name| {
            [LOCK, SPOOL, CACHE].iter().any(|kept| name == kept.as_bytes()) || Shelves::is_one(name)
        });
        for shelf in shelves.all() {
            let below = sweep(shelf.directory(), shelf.path(), |_| false);
            swept = swept.and_then(|removed| Ok(removed + below?));
        }
        swept
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Makes the directories of an attempt under a name nobody can guess, mode 0700 whatever the umask is. Blocking,
    /// but brief.
    pub fn create(&self, attempt: AttemptId) -> Result<Scratch, WorkspaceError> {
        let Inner { path, directory, shelves, .. } = &*self.inner;
        let shelf = shelves.next();
        match self.create_on(&shelf, attempt) {
            Err(WorkspaceError::Root { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let restored = shelves.restore(&shelf, path, directory);
                let failed = |source| WorkspaceError::Root { path: shelf.path().to_owned(), source };
                self.create_on(&restored.map_err(failed)?, attempt)
            }
            made => made,
        }
    }

    fn create_on(&self, shelf: &Arc<Shelf>, attempt: AttemptId) -> Result<Scratch, WorkspaceError> {
        let name = format!("{attempt}-{:016x}", rand::random::<u64>());
        let scratch = Scratch {
            workspace: shelf.path().join(&name),
            shelf: Some(shelf.clone()),
            door: Door::default(),
            root: self.clone(),
        };
        for suffix in MADE {
            let make = || {
                let name = format!("{name}{suffix}");
                mkdirat(shelf.directory(), &name, Mode::RWXU)?;
                chmodat(shelf.directory(), &name, Mode::RWXU, AtFlags::empty())
            };
            make().map_err(|errno| unmade(scratch.beside(suffix), errno.into()))?;
        }
        Ok(scratch)
    }
}

fn unmade(path: PathBuf, source: io::Error) -> WorkspaceError {
    if is_disk_full(&source) {
        WorkspaceError::DiskFull { operation: "make", path: path.display().to_string(), source }
    } else {
        WorkspaceError::Root { path, source }
    }
}

/// Removes all of a directory but what is kept; answers how many entries there were. One that resists does not keep the others.
fn sweep(directory: impl AsFd, path: &Path, is_kept: impl Fn(&[u8]) -> bool) -> Result<u64, WorkspaceError> {
    let failed = |errno: rustix::io::Errno| WorkspaceError::Root { path: path.to_owned(), source: errno.into() };
    let mut removed = 0;
    let mut result = Ok(());
    for name in names(&directory).map_err(failed)? {
        let name = name.map_err(failed)?;
        if !is_kept(name.to_bytes()) {
            removed += 1;
            let leftovers = remove_tree(directory.as_fd(), name.to_bytes());
            result = result.and(report(leftovers, path.join(std::ffi::OsStr::from_bytes(name.to_bytes()))));
        }
    }
    result.map(|()| removed)
}

/// Removes the directories of an attempt; one that resists does not keep the others. Whoever is still making something in
/// them is waited for, and nobody is let in afterwards.
fn remove(shelf: &Shelf, workspace: &Path, door: &Door) -> Result<(), WorkspaceError> {
    let mut inside = door.lock();
    inside.is_closed = true;
    let unmounted = mount::unmount(workspace);
    unmounted.map_err(|source| WorkspaceError::Root { path: workspace.to_owned(), source })?;
    // Nothing needs them any more.
    inside.pins.clear();
    let removals = MADE.into_iter().chain([PACKS, LAYER]).map(|suffix| {
        let path = beside(workspace, suffix);
        let name = path.file_name().unwrap_or_default();
        report(remove_tree(shelf.directory(), name.as_bytes()), path.clone())
    });
    // All of them, then the first failure.
    removals.collect::<Vec<_>>().into_iter().collect()
}

/// The way into the directories of an attempt, for work on other threads that outlasts the one who waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Door(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
pub(super) struct Inside {
    is_closed: bool,
    /// What the workspace is mounted over.
    pins: Vec<Arc<dyn Lower>>,
}

impl Door {
    /// Lets one in, until the answer is dropped.
    pub(super) fn enter(&self) -> Result<MutexGuard<'_, Inside>, WorkspaceError> {
        Some(self.lock()).filter(|inside| !inside.is_closed).ok_or(WorkspaceError::Interrupted)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Keeps a directory of the cache until the workspace is gone.
    pub(super) fn pin(&mut self, lower: Arc<dyn Lower>) {
        self.pins.push(lower);
    }
}

/// The directories of one attempt. Removed by [`Self::close`], or in the background when dropped.
#[derive(Debug)]
pub struct Scratch {
    workspace: PathBuf,
    /// `None` once removed.
    shelf: Option<Arc<Shelf>>,
    door: Door,
    /// Whose lock keeps the next worker's sweep away.
    root: ScratchRoot,
}

impl Scratch {
    /// The workspace itself.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// `HOME` of the agent, outside the workspace.
    pub fn home(&self) -> PathBuf {
        self.beside(".home")
    }

    /// `TMPDIR` of the agent, outside the workspace.
    pub fn temp(&self) -> PathBuf {
        self.beside(".tmp")
    }

    /// Where packs are built, not there yet; the agent has no business there.
    pub fn packs(&self) -> PathBuf {
        self.beside(PACKS)
    }

    /// Where what changes is kept while the workspace is a mount, not there yet; the agent has no business there.
    pub fn layer(&self) -> PathBuf {
        self.beside(LAYER)
    }

    /// Removes everything. What cannot be removed is left to the next sweep and reported.
    pub async fn close(mut self) -> Result<(), WorkspaceError> {
        let Some(shelf) = self.shelf.take() else {
            return Ok(());
        };
        let (workspace, door) = (self.workspace.clone(), self.door.clone());
        let removing = tokio::task::spawn_blocking(move || remove(&shelf, &workspace, &door));
        removing.await.map_err(|_| WorkspaceError::Interrupted)?
    }

    pub(super) fn door(&self) -> Door {
        self.door.clone()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.workspace, suffix)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(shelf) = self.shelf.take() else { return };
        let (root, door) = (self.root.clone(), self.door.clone());
        let workspace = std::mem::take(&mut self.workspace);
        // Not on this thread, which may be one that must not block. If no thread can be had, the next sweep removes it.
        let _ = std::thread::Builder::new().name("scratch-drop".to_owned()).spawn(move || {
            if let Err(error) = remove(&shelf, &workspace, &door) {
                tracing::warn!(%error, "scratch could not be removed, left to the next start");
            }
            drop(root);
        });
    }
}

fn beside(workspace: &Path, suffix: &str) -> PathBuf {
    let mut path = workspace.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn report(leftovers: Leftovers, path: PathBuf) -> Result<(), WorkspaceError> {
    match leftovers.first {
        None => Ok(()),
        Some((first, source)) => Err(WorkspaceError::Leftovers { path, count: leftovers.count, first, source }),
    }
}
