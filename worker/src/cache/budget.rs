//! The bounds of the cache: bytes, and what must stay free on its disk. Space is reserved before anything is fetched, and
//! made by letting go what was not wanted for longest.

use std::sync::Arc;

use rustix::fs::{StatVfs, statvfs};

use super::{
    CacheError, NodeCache,
    data::DataFile,
    images::Image,
    state::Known,
    trees::{self, CopiedTree},
};
use crate::kill_point::{KillPoint, pass};

/// How much the cache may take.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Bytes of data files; what must stay free limits them as well.
    pub max_bytes: u64,
    /// Bytes that stay free on the disk.
    pub min_free: u64,
}

/// Inodes that stay free on the disk, for the workspaces' own files.
const MIN_INODES: u64 = 10_000;

/// Space promised to a data file that is being filled; given back when dropped before its end.
#[derive(Debug)]
pub(super) struct Reserved {
    cache: NodeCache,
    bytes: u64,
    /// Whether the file system has taken it off what is free.
    allocated: bool,
}

impl Reserved {
    /// The file system has it now.
    pub(super) fn allocated(&mut self) {
        self.cache.inner.state.lock().unallocated -= self.bytes;
        self.allocated = true;
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The data file is the cache's.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut known = self.cache.inner.state.lock();
        known.bytes -= self.bytes;
        if !self.allocated {
            known.unallocated -= self.bytes;
        }
        self.cache.inner.metrics.bytes.set(i64::try_from(known.bytes).unwrap_or(i64::MAX));
    }
}

impl NodeCache {
    /// Promises `bytes`, evicting what nobody uses if it must. Blocking.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reserved, CacheError> {
        loop {
            let mut known = self.inner.state.lock();
            let Some(limit) = self.exceeded(&known, bytes)? else {
                known.bytes += bytes;
                known.unallocated += bytes;
                return Ok(Reserved { cache: self.clone(), bytes, allocated: false });
            };
            let Some(victim) = victim(&mut known) else {
                return Err(CacheError::Full { needed: bytes, limit });
            };
            drop(known);
            self.inner.metrics.evicted.inc();
            // Without the lock, and here: what goes later would look like space that is not there.
            pass(KillPoint::Evicting);
            victim.remove();
        }
    }

    /// Which bound `bytes` more would break.
    fn exceeded(&self, known: &Known, bytes: u64) -> Result<Option<String>, CacheError> {
        let max = self.inner.limits.max_bytes;
        if known.bytes.saturating_add(bytes) > max {
            return Ok(Some(format!("at most {max} are allowed")));
        }
        let stat = statvfs(&self.inner.directory);
        let stat = stat.map_err(|errno| CacheError::io("look at the disk", &self.inner.directory)(errno.into()))?;
        let (free, keep) = (free_bytes(&stat), self.inner.limits.min_free);
        if free < keep.saturating_add(known.unallocated).saturating_add(bytes) {
            return Ok(Some(format!("{free} are free on the disk and {keep} must stay so")));
        }
        // File systems without a fixed number of inodes say 0 of 0.
        if stat.f_files > 0 && stat.f_favail < MIN_INODES {
            return Ok(Some(format!("only {} inodes are free on the disk", stat.f_favail)));
        }
        Ok(None)
    }
}

pub(super) fn free_bytes(stat: &StatVfs) -> u64 {
    stat.f_bavail.saturating_mul(stat.f_frsize)
}

/// What goes.
enum Victim {
    Tree(Arc<CopiedTree>),
    Data(Vec<Arc<Image>>, Arc<DataFile>),
}

impl Victim {
    fn remove(self) {
        match self {
            Self::Tree(tree) => tree.remove(),
            Self::Data(images, data) => {
                // Unmounted before what they point into is removed.
                drop(images);
                drop(data);
            }
        }
    }
}

fn victim(known: &mut Known) -> Option<Victim> {
    if let Some(tree) = trees::oldest_idle(known) {
        return Some(Victim::Tree(tree));
    }
    oldest_idle(known).and_then(|file| evict(known, file))
}

/// The data file that was not wanted for longest of those that only the cache and idle images hold.
fn oldest_idle(known: &Known) -> Option<u32> {
    let idle_images = || known.images.values().filter(|image| Arc::strong_count(image) == 1);
    let is_idle = |data: &Arc<DataFile>| {
        let holders = 1 + idle_images().filter(|image| image.uses(data)).count();
        Arc::strong_count(data) == holders
    };
    let mut files: Vec<_> = known.files.iter().collect();
    files.sort_unstable_by_key(|(_, data)| data.used());
    files.into_iter().find(|(_, data)| is_idle(data)).map(|(file, _)| *file)
}

fn evict(known: &mut Known, file: u32) -> Option<Victim> {
    let data = Arc::clone(known.files.get(&file)?);
    let of_it = known.images.extract_if(|_, image| image.uses(&data)).map(|(_, image)| image).collect();
    known.evict(file);
    Some(Victim::Data(of_it, data))
}
