//! The copying rungs: files are written out of the cache's data files, whole directories at a time, by a few threads.
//!
//! One `copy_file_range` a piece: the kernel copies without a detour through this process, and shares the blocks instead
//! where cache and scratch lie on one file system that can. For that its ranges must be whole blocks; what is too much at
//! the end is cut off afterwards.

use std::{
    fs::File,
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use drydock_domain::EntryKind;
use drydock_files::Directories;
use drydock_storage::{Manifest, pack::CHUNK};
use rustix::{
    fs::{copy_file_range, ftruncate},
    io::Errno,
};

use super::target::{Target, create};
use crate::{
    cache::{BLOCK, Extent, Loaded},
    kill_point::{KillPoint, pass},
    workspace::{Baseline, WorkspaceError},
};

/// More threads only contend for the file system's locks.
const THREADS_MAX: usize = 8;
/// Entries a thread takes at a time.
const BATCH: usize = 256;

/// Writes a loaded version into the empty directory at `workspace`. Blocking.
pub(super) fn fill(manifest: &Arc<Manifest>, loaded: &Loaded, workspace: &Path) -> Result<Baseline, WorkspaceError> {
    let target = Target::open(workspace, manifest)?;
    target.make_skeleton()?;
    Filling::of(&target, loaded)?.run()?;
    target.set_directory_modes()?;
    Ok(Baseline::new(target.take_stats(), now()))
}

/// As [`fill`], for a tree that stays in the cache and is never changed.
pub(super) fn copy_out(manifest: &Arc<Manifest>, loaded: &Loaded, directory: &Path) -> Result<(), std::io::Error> {
    fill(manifest, loaded, directory).map(drop).map_err(WorkspaceError::into_io)
}

struct Filling<'a> {
    target: &'a Target,
    loaded: &'a Loaded,
    /// The data files of it, open.
    data: Vec<File>,
    /// Where each batch's pieces begin among the extents.
    starts: Vec<usize>,
    next: AtomicUsize,
    failed: Mutex<Option<WorkspaceError>>,
}

impl<'a> Filling<'a> {
    fn of(target: &'a Target, loaded: &'a Loaded) -> Result<Self, WorkspaceError> {
        let mut starts = Vec::new();
        let mut pieces = 0;
        for batch in target.manifest.locations().chunks(BATCH) {
            starts.push(pieces);
            pieces += batch.iter().map(|location| location.blocks().len()).sum::<usize>();
        }
        let data = loaded.data.iter().map(|data| data.open()).collect::<std::io::Result<_>>();
        let data = data.map_err(|source| WorkspaceError::Io {
            operation: "open the contents of",
            path: ".".to_owned(),
            source,
        })?;
        Ok(Self { target, loaded, data, starts, next: AtomicUsize::new(0), failed: Mutex::default() })
    }

    fn run(self) -> Result<(), WorkspaceError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(THREADS_MAX).min(self.starts.len());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.work());
            }
            self.work();
        });
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }

    fn work(&self) {
        let mut directories = self.target.directories();
        loop {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.starts.len() {
                return;
            }
            if let Err(error) = self.batch(batch, &mut directories) {
                // The others have nothing more to do.
                self.next.store(self.starts.len(), Ordering::Relaxed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
        }
    }

    fn batch(&self, batch: usize, directories: &mut Directories<'_>) -> Result<(), WorkspaceError> {
        let manifest = &self.target.manifest;
        let mut extents = &self.loaded.extents[self.starts[batch]..];
        let mut done = Vec::with_capacity(BATCH);
        let entries = manifest.iter().enumerate().skip(batch * BATCH).take(BATCH);
        for (index, (entry, location)) in entries {
            let (of_it, rest) = extents.split_at(location.blocks().len());
            extents = rest;
            let EntryKind::File { size: size @ 1.., .. } = entry.kind else { continue };
            let file = create(directories, &entry.path)?;
            let written = self.write(&file, size, of_it);
            written.map_err(WorkspaceError::io("write", entry.path.as_bytes()))?;
            done.push(self.target.finish(index, &file)?);
            pass(KillPoint::Copying);
        }
        self.target.note(done);
        Ok(())
    }

    fn write(&self, file: &File, size: u64, extents: &[Extent]) -> rustix::io::Result<()> {
        for (at, extent) in extents.iter().enumerate() {
            let to = (at * CHUNK) as u64;
            let len = (size - to).min(CHUNK as u64).next_multiple_of(BLOCK);
            let data = &self.data[extent.data()];
            copy(data, u64::from(extent.block) * BLOCK, file, to, len)?;
        }
        if size.is_multiple_of(BLOCK) { Ok(()) } else { ftruncate(file, size) }
    }
}

/// Copies a range that the source has all of.
fn copy(from: &File, mut at: u64, to: &File, mut place: u64, len: u64) -> rustix::io::Result<()> {
    let end = at + len;
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX);
        match copy_file_range(from.as_fd(), Some(&mut at), to.as_fd(), Some(&mut place), most) {
            // Cut behind our back.
            Ok(0) => return Err(Errno::IO),
            Ok(_) => {}
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return copy_by_hand(from, at, to, place, end - at);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// For file systems between which the kernel does not copy.
fn copy_by_hand(from: &File, mut at: u64, to: &File, mut place: u64, len: u64) -> rustix::io::Result<()> {
    let mut buffer = vec![0; usize::try_from(len.min(256 << 10)).unwrap_or(usize::MAX)];
    let end = at + len;
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = rustix::io::pread(from, &mut buffer[..most], at)?;
        if read == 0 {
            return Err(Errno::IO);
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let written = rustix::io::pwrite(to, rest, place)?;
            rest = &rest[written..];
            place += written as u64;
        }
        at += read as u64;
    }
    Ok(())
}

/// The clock by which the kernel stamps files.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}
