//! `Snapshot`: what is in a workspace now, without reading a single file.
//!
//! Owns the walk: one thread, or several where there are many directories, each listing one at a time, one `stat` an entry. Sockets, pipes, devices
//! and other file systems are no part of a version, nor is what is ignored: they are counted and left out. Directories closed to their owner
//! are opened for the walk and closed again by [`Snapshot::close_directories`].

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use drydock_domain::{IgnoreRules, LinkTarget, Mode, RelativePath};
use drydock_files::{Directories, names, open_child, stat};
use rustix::fs::{FileType, fstat, readlinkat};

use super::{
    FileStat,
    ignoring::{Standing, judge},
};
use crate::{
    kill_point::{KillPoint, pass},
    workspace::{WorkspaceError, error::shown},
};

/// More threads only contend for the same directory locks in the kernel.
const THREADS_MAX: usize = 8;
/// Directories waiting to be listed that are worth starting threads for.
const MANY: usize = 16;

/// Entries that are no part of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Sockets, named pipes and devices.
    pub special: u64,
    /// Directories on another file system: mounts left behind.
    pub mounts: u64,
    /// What the project's ignore file or a built-in rule leaves out; a directory counts once, whatever is in it.
    pub ignored: u64,
}

impl std::ops::AddAssign for Dropped {
    fn add_assign(&mut self, other: Self) {
        self.special += other.special;
        self.mounts += other.mounts;
        self.ignored += other.ignored;
    }
}

#[derive(Debug)]
pub(in crate::workspace) struct Found {
    pub(in crate::workspace) path: RelativePath,
    pub(in crate::workspace) kind: FoundKind,
}

#[derive(Debug)]
pub(in crate::workspace) enum FoundKind {
    File(FileStat),
    Dir(Mode),
    Symlink(LinkTarget),
}

#[derive(Debug)]
pub(super) struct Snapshot {
    /// Sorted by path.
    pub(super) found: Vec<Found>,
    pub(super) dropped: Dropped,
    /// Directories that were opened for us, with the modes they had.
    pub(super) opened: Vec<(RelativePath, rustix::fs::Mode)>,
}

/// What a walk leaves out: ignored entries that the version does not have.
#[derive(Clone, Copy)]
pub(super) struct Ignoring<'t> {
    pub(super) rules: &'t IgnoreRules,
    /// Whether the version has a directory at a path, or something else.
    pub(super) is_tracked: &'t (dyn Fn(&RelativePath, bool) -> bool + Sync),
}

/// A walk over a workspace, of which it may find `limit` entries at most.
pub(super) struct Walk<'t> {
    top: BorrowedFd<'t>,
    limit: u64,
    ignoring: Ignoring<'t>,
    device: u64,
    /// Entries that are held in memory, those in lists that are not finished yet included.
    held: AtomicU64,
    state: Mutex<State>,
    wake: Condvar,
}

impl<'t> Walk<'t> {
    pub(super) fn of(top: &'t OwnedFd, limit: u64, ignoring: Ignoring<'t>) -> Self {
        let (held, state, wake) = (AtomicU64::new(0), Mutex::default(), Condvar::new());
        Self { top: top.as_fd(), limit, ignoring, device: 0, held, state, wake }
    }

    /// With as many entries found elsewhere already.
    pub(super) fn beside(self, held: u64) -> Self {
        Self { held: AtomicU64::new(held), ..self }
    }

    /// Over all of it. Blocking.
    pub(super) fn whole(self) -> Result<Snapshot, WorkspaceError> {
        self.from(Waiting { path: None, standing: Standing::Open })
    }

    /// Over what lies below the directory `path`. Blocking.
    pub(super) fn below(self, path: &RelativePath, standing: Standing) -> Result<Snapshot, WorkspaceError> {
        self.from(Waiting { path: Some(path.clone()), standing })
    }

    fn from(mut self, directory: Waiting) -> Result<Snapshot, WorkspaceError> {
        self.device = fstat(self.top).map_err(WorkspaceError::io("look at", b""))?.st_dev;
        self.lock().pending.push(directory);
        self.work(MANY);
        if !self.lock().is_over() {
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(|| self.work(usize::MAX));
                }
                self.work(usize::MAX);
            });
        }
        let State { mut found, dropped, opened, error, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = error {
            return Err(error);
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Snapshot { found, dropped, opened })
    }
}

/// A directory to list.
struct Waiting {
    /// `None` is the top.
    path: Option<RelativePath>,
    standing: Standing,
}

/// Shared by the threads of a walk.
#[derive(Default)]
struct State {
    pending: Vec<Waiting>,
    /// Directories being listed.
    active: usize,
    found: Vec<Found>,
    dropped: Dropped,
    opened: Vec<(RelativePath, rustix::fs::Mode)>,
    error: Option<WorkspaceError>,
}

impl State {
    fn is_over(&self) -> bool {
        self.error.is_some() || (self.pending.is_empty() && self.active == 0)
    }
}

/// What one directory holds.
#[derive(Default)]
struct Listing {
    found: Vec<Found>,
    subdirectories: Vec<Waiting>,
    dropped: Dropped,
    opened: Option<rustix::fs::Mode>,
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists directories until there are none left, one failed, or more than `most` wait.
    fn work(&self, most: usize) {
        let mut state = self.lock();
        loop {
            if state.is_over() || state.pending.len() > most {
                self.wake.notify_all();
                return;
            }
            let Some(directory) = state.pending.pop() else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.active += 1;
            drop(state);
            let listed = self.list(&directory);
            state = self.lock();
            state.active -= 1;
            match listed {
                Ok(listing) => self.merge(&mut state, directory, listing),
                Err(error) => state.error = state.error.take().or(Some(error)),
            }
            self.wake.notify_all();
        }
    }

    fn merge(&self, state: &mut State, directory: Waiting, listing: Listing) {
        state.found.extend(listing.found);
        state.pending.extend(listing.subdirectories);
        state.dropped += listing.dropped;
        state.opened.extend(directory.path.zip(listing.opened));
    }

    fn list(&self, waiting: &Waiting) -> Result<Listing, WorkspaceError> {
        let path = waiting.path.as_ref();
        let bytes = path.map_or(&b""[..], RelativePath::as_bytes);
        let failed = |operation| WorkspaceError::io(operation, bytes);
        let mut listing = Listing::default();
        let directory = match path {
            None => open_top_again(self.top),
            Some(path) => Directories::below(&self.top)
                .parent_of(path)
                .and_then(|parent| open_child(parent, path.file_name()))
                .map(|(directory, opened)| {
                    listing.opened = opened;
                    directory
                }),
        };
        let directory = directory.map_err(failed("open"))?;
        for name in names(&directory).map_err(failed("list"))? {
            let name = name.map_err(failed("list"))?;
            self.look(waiting, directory.as_fd(), &name, &mut listing)?;
            // One directory may have more names than memory has room for.
            if self.held.load(Ordering::Relaxed) > self.limit {
                return Err(WorkspaceError::TooManyFiles { limit: self.limit });
            }
            pass(KillPoint::Scanning);
        }
        Ok(listing)
    }

    fn look(
        &self,
        waiting: &Waiting,
        handle: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        listing: &mut Listing,
    ) -> Result<(), WorkspaceError> {
        let directory = waiting.path.as_ref();
        let path = directory.map_or_else(|| RelativePath::new(name.to_bytes()), |dir| dir.join(name.to_bytes()));
        let path = path.map_err(|source| WorkspaceError::Path {
            directory: shown(directory.map_or(&b""[..], RelativePath::as_bytes)),
            name: shown(name.to_bytes()),
            source,
        })?;
        let stat = stat(handle, name).map_err(WorkspaceError::io("look at", path.as_bytes()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_dir = kind == FileType::Directory;
        let Ignoring { rules, is_tracked } = self.ignoring;
        let Some(standing) = judge(rules, waiting.standing, &path, is_dir, || is_tracked(&path, is_dir)) else {
            listing.dropped.ignored += 1;
            return Ok(());
        };
        let kind = match kind {
            FileType::RegularFile => FoundKind::File(FileStat::from(&stat)),
            FileType::Directory if stat.st_dev != self.device => {
                listing.dropped.mounts += 1;
                return Ok(());
            }
            FileType::Directory => {
                listing.subdirectories.push(Waiting { path: Some(path.clone()), standing });
                FoundKind::Dir(Mode::new(stat.st_mode))
            }
            FileType::Symlink => {
                let target = readlinkat(handle, name, Vec::new());
                let target = target.map_err(WorkspaceError::io("read symlink", path.as_bytes()))?;
                let target = LinkTarget::new(target.to_bytes()).map_err(drydock_storage::StorageError::InvalidTree)?;
                FoundKind::Symlink(target)
            }
            _ => {
                listing.dropped.special += 1;
                return Ok(());
            }
        };
        listing.found.push(Found { path, kind });
        self.held.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn open_top_again(top: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    open_child(top, b".").map(|(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_with_too_many_names_is_not_listed_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            fs_err::write(place.path().join(number.to_string()), "").unwrap();
        }
        let seen = AtomicU64::new(0);
        let is_tracked = |_: &RelativePath, _: bool| {
            seen.fetch_add(1, Ordering::Relaxed);
            true
        };
        let (rules, _) = IgnoreRules::parse(b"*");
        let ignoring = Ignoring { rules: &rules, is_tracked: &is_tracked };
        let top = drydock_files::open_directory(place.path()).unwrap();
        let walked = Walk::of(&top, 10, ignoring).beside(3).whole();
        assert!(matches!(walked, Err(WorkspaceError::TooManyFiles { limit: 10 })));
        assert_eq!(seen.into_inner(), 8, "what is over the limit is seen, and no more");
    }
}
