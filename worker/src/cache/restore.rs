//! The start of the cache: what an earlier worker left of use is found again, the rest removed.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{
    CacheError, NodeCache,
    data::DataFile,
    index::{self, Durability, Index},
    trees,
};
use crate::mount;

pub(super) const DATA: &str = "data";
pub(super) const MOUNTS: &str = "mounts";
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const TREES: &str = "trees";
pub(super) const TRASH: &str = "trash";
const LOCK: &str = ".lock";
/// Pieces that are read and noted together.
const PIECES_AT_ONCE: usize = 1024;

/// Takes the directory for this process.
pub(super) fn lock(root: &Path) -> Result<File, CacheError> {
    fs_err::create_dir_all(root).map_err(CacheError::io("create", root))?;
    let path = root.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(CacheError::io("lock", &path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(CacheError::Busy { path: root.to_owned() }),
        Err(errno) => Err(CacheError::io("lock", path)(errno.into())),
    }
}

/// Unmounts what a worker that died left mounted, and makes the directories.
pub(super) fn prepare(root: &Path) -> Result<(), CacheError> {
    mount::unmount_below(root).map_err(CacheError::io("unmount what is left", root))?;
    let trash = root.join(TRASH);
    fs_err::create_dir_all(&trash).map_err(CacheError::io("create", &trash))?;
    for name in [MOUNTS, TEMPORARY, TREES] {
        let path = root.join(name);
        let away = trash.join(format!("{:016x}", rand::random::<u64>()));
        match fs_err::rename(&path, &away) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CacheError::io("put away what is left", path)(error));
            }
            _ => {}
        }
    }
    for name in [DATA, MOUNTS, TEMPORARY, TREES] {
        let path = root.join(name);
        fs_err::create_dir_all(&path).map_err(CacheError::io("create", &path))?;
    }
    Ok(())
}

impl NodeCache {
    /// Finds data files that can be used again, removes the others; returns how many there are. Blocking; loads may go on
    /// meanwhile, and fetch again what is not found yet.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn restore(&self) -> Result<usize, CacheError> {
        self.empty_trash();
        let directory = self.data_directory();
        let mut found = 0;
        for path in self.older_indices(&directory).map_err(CacheError::io("list", &directory))? {
            match open(&path) {
                Some((data, index)) => {
                    let durability = index.header.durability;
                    let data = self.take_in(data, &index).map_err(CacheError::io("read an index", &path))?;
                    found += 1;
                    if durability == Durability::Written {
                        self.inner.syncing.send(data.unsynced());
                    }
                    drop(data);
                    self.give_back()?;
                }
                None => remove(&path),
            }
        }
        self.remove_rubbish(&directory).map_err(CacheError::io("list", &directory))?;
        Ok(found)
    }

    /// What an earlier worker left, in the order it was written: about that in which it was wanted.
    fn older_indices(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut indices = Vec::new();
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            if index::is_index(&entry.path()) && self.is_older(&entry) {
                indices.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        indices.sort_unstable();
        Ok(indices.into_iter().map(|(_, path)| path).collect())
    }

    /// Whether an entry is not this process's own; one that just went is no business of ours either.
    fn is_older(&self, entry: &fs_err::DirEntry) -> bool {
        entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|made| made < self.inner.started)
    }

    fn empty_trash(&self) {
        let trash = self.inner.directory.join(TRASH);
        for entry in fs_err::read_dir(trash).into_iter().flatten().flatten() {
            if let Err(error) = trees::remove(&entry.path()) {
                tracing::warn!(%error, "rubbish in the cache could not be removed, left to the next start");
            }
        }
    }

    /// Its pieces by and by: there may be very many, and loads want the lock meanwhile.
    fn take_in(&self, data: DataFile, index: &Index) -> io::Result<Arc<DataFile>> {
        let mut pieces = index.pieces()?;
        let mut known = self.inner.state.lock();
        known.bytes += data.bytes();
        self.tell_bytes(&known);
        let (file, data) = known.add(data);
        drop(known);
        data.touch(self.inner.state.tick());
        loop {
            let some = pieces.by_ref().take(PIECES_AT_ONCE).collect::<io::Result<Vec<_>>>()?;
            if some.is_empty() {
                return Ok(data);
            }
            self.inner.state.lock().place(file, some);
        }
    }

    /// Removes data files without an index, except those being filled by this process.
    fn remove_rubbish(&self, directory: &Path) -> io::Result<()> {
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if !index::is_index(&path) && !index::path(&path).exists() && self.is_older(&entry) {
                remove(&path);
            }
        }
        Ok(())
    }
}

/// The data file an index tells of.
fn open(path: &Path) -> Option<(DataFile, Index)> {
    let index = index::read(path).ok()??;
    let data: PathBuf = path.with_extension("");
    let file = DataFile::found(data, &index.header).ok()?;
    Some((file, index))
}

fn remove(path: &Path) {
    if let Err(error) = fs_err::remove_file(path) {
        tracing::warn!(%error, "rubbish in the cache could not be removed, left to the next start");
    }
}
