//! The bounds of the cache: bytes, what must stay free on its disk, and how much there is to know. Space is reserved before
//! anything is fetched, and made by letting go what was not wanted for longest.

use std::sync::{Arc, MutexGuard, Weak};

use rustix::fs::{StatVfs, statvfs};

use super::{
    CacheError, Inner, NodeCache,
    data::DataFile,
    images::Image,
    state::Known,
    trees::{self, CopiedTree},
};
use crate::kill_point::{KillPoint, pass};

/// How much the cache may take.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Bytes of data files, images and copied trees; what must stay free limits them as well.
    pub max_bytes: u64,
    /// Bytes that stay free on the disk.
    pub min_free: u64,
    /// Pieces of content (files, or 4 MiB of bigger ones) known, each with 21 to 42 bytes of memory. What jobs use may be more.
    pub max_pieces: u64,
}

/// Inodes that stay free on the disk, for the workspaces' own files.
const MIN_INODES: u64 = 10_000;

/// What something will take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Space {
    pub(super) bytes: u64,
    pub(super) pieces: u64,
    pub(super) inodes: u64,
}

/// A bound that cannot be kept.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Exceeded {
    #[error("at most {0} are allowed")]
    Bytes(u64),
    #[error("{free} are free on the disk and {keep} must stay so")]
    Free { free: u64, keep: u64 },
    #[error("only {free} inodes are free on the disk, {wanted} are wanted and {MIN_INODES} must stay so")]
    Inodes { free: u64, wanted: u64 },
}

/// Space promised to something of the cache, as long as this is held; to a data file, until it is the cache's.
#[derive(Debug)]
pub(super) struct Reserved {
    // Not the cache itself, which holds what holds this.
    cache: Weak<Inner>,
    bytes: u64,
    /// Whether the file system has taken it off what is free.
    allocated: bool,
}

impl Reserved {
    /// The file system has it now.
    pub(super) fn allocated(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.state.lock().unallocated -= self.bytes;
        }
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
        let Some(cache) = self.cache.upgrade() else { return };
        let mut known = cache.state.lock();
        known.bytes -= self.bytes;
        if !self.allocated {
            known.unallocated -= self.bytes;
        }
        cache.metrics.bytes.set(i64::try_from(known.bytes).unwrap_or(i64::MAX));
    }
}

impl NodeCache {
    /// Promises space, evicting what nobody uses if it must. Blocking.
    pub(super) fn reserve(&self, space: Space) -> Result<Reserved, CacheError> {
        let Space { bytes, .. } = space;
        match self.make_room(space)? {
            (_, Some(exceeded)) => Err(CacheError::Full { needed: bytes, limit: exceeded.to_string() }),
            (mut known, None) => {
                known.bytes += bytes;
                known.unallocated += bytes;
                Ok(Reserved { cache: Arc::downgrade(&self.inner), bytes, allocated: false })
            }
        }
    }

    /// Evicts what nobody uses while a bound is exceeded: workspaces may have taken the disk meanwhile. Blocking.
    ///
    /// # Errors
    /// The disk cannot be looked at.
    pub fn give_back(&self) -> Result<(), CacheError> {
        self.make_room(Space::default()).map(drop)
    }

    /// Evicts until there is room, or nothing more can go: then says which bound is in the way.
    fn make_room(&self, space: Space) -> Result<(MutexGuard<'_, Known>, Option<Exceeded>), CacheError> {
        loop {
            let mut known = self.inner.state.lock();
            let exceeded = self.exceeded(&known, space)?;
            let victim = match exceeded {
                Some(Exceeded::Inodes { .. }) => trees::oldest_idle(&mut known).map(Victim::Tree),
                Some(_) => victim(&mut known),
                // Of memory, a job that needs more gets it all the same.
                None if known.pieces + space.pieces > self.inner.limits.max_pieces => oldest_data(&mut known),
                None => None,
            };
            let Some(victim) = victim else { return Ok((known, exceeded)) };
            drop(known);
            self.inner.metrics.evicted.inc();
            // Without the lock, and here: what goes later would look like space that is not there.
            pass(KillPoint::Evicting);
            victim.remove();
        }
    }

    /// Which bound so much more would break.
    fn exceeded(&self, known: &Known, space: Space) -> Result<Option<Exceeded>, CacheError> {
        let max = self.inner.limits.max_bytes;
        if known.bytes.saturating_add(space.bytes) > max {
            return Ok(Some(Exceeded::Bytes(max)));
        }
        let stat = statvfs(&self.inner.directory);
        let stat = stat.map_err(|errno| CacheError::io("look at the disk", &self.inner.directory)(errno.into()))?;
        let (free, keep) = (free_bytes(&stat), self.inner.limits.min_free);
        if free < keep.saturating_add(known.unallocated).saturating_add(space.bytes) {
            return Ok(Some(Exceeded::Free { free, keep }));
        }
        // File systems without a fixed number of inodes say 0 of 0.
        if stat.f_files > 0 && stat.f_favail < MIN_INODES + space.inodes {
            return Ok(Some(Exceeded::Inodes { free: stat.f_favail, wanted: space.inodes }));
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
    trees::oldest_idle(known).map(Victim::Tree).or_else(|| oldest_data(known))
}

fn oldest_data(known: &mut Known) -> Option<Victim> {
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
