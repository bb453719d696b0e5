//! The bounds of the cache: bytes, what must stay free on its disk, and how much there is to know. Space is reserved before
//! anything is fetched, and made by letting go what was not wanted for longest.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, MutexGuard, Weak},
};

use rustix::fs::{StatVfs, statvfs};

use super::{
    CacheError, Inner, NodeCache,
    data::DataFile,
    images::{self, Image},
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
    #[error("at most {max} are allowed")]
    Bytes { max: u64, over: u64 },
    #[error("{free} are free on the disk and {keep} must stay so")]
    Free { free: u64, keep: u64, over: u64 },
    #[error("only {free} inodes are free on the disk, {wanted} are wanted and {MIN_INODES} must stay so")]
    Inodes { free: u64, wanted: u64 },
}

/// What evicting has to bring.
#[derive(Clone, Copy, Debug, Default)]
struct Lacking {
    bytes: u64,
    pieces: u64,
    files: u64,
}

impl Exceeded {
    const fn lacking(self) -> Lacking {
        match self {
            Self::Bytes { over, .. } | Self::Free { over, .. } => Lacking { bytes: over, pieces: 0, files: 0 },
            // A data file and its index take one each.
            Self::Inodes { free, wanted } => {
                let files = (MIN_INODES + wanted).saturating_sub(free).div_ceil(2);
                Lacking { bytes: 0, pieces: 0, files }
            }
        }
    }
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
            let victims = match exceeded {
                Some(exceeded) => Victims::of(&mut known, exceeded.lacking()),
                // Of memory, a job that needs more gets it all the same.
                None => {
                    let pieces = (known.pieces + space.pieces).saturating_sub(self.inner.limits.max_pieces);
                    Victims::data(&mut known, Lacking { pieces, ..Lacking::default() })
                }
            };
            self.tell_bytes(&known);
            if victims.len() == 0 {
                return Ok((known, exceeded));
            }
            drop(known);
            self.inner.metrics.evicted.inc_by(victims.len() as u64);
            // Without the lock, and here: what goes later would look like space that is not there.
            pass(KillPoint::Evicting);
            victims.remove();
        }
    }

    pub(super) fn tell_bytes(&self, known: &Known) {
        self.inner.metrics.bytes.set(i64::try_from(known.bytes).unwrap_or(i64::MAX));
    }

    /// Which bound so much more would break.
    fn exceeded(&self, known: &Known, space: Space) -> Result<Option<Exceeded>, CacheError> {
        let max = self.inner.limits.max_bytes;
        let over = known.bytes.saturating_add(space.bytes).saturating_sub(max);
        if over > 0 {
            return Ok(Some(Exceeded::Bytes { max, over }));
        }
        let stat = statvfs(&self.inner.directory);
        let stat = stat.map_err(|errno| CacheError::io("look at the disk", &self.inner.directory)(errno.into()))?;
        let (free, keep) = (free_bytes(&stat), self.inner.limits.min_free);
        let over = keep.saturating_add(known.unallocated).saturating_add(space.bytes).saturating_sub(free);
        if over > 0 {
            return Ok(Some(Exceeded::Free { free, keep, over }));
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

/// What goes, at one time: sorting all files for each would take long where there are very many.
#[derive(Default)]
struct Victims {
    tree: Option<Arc<CopiedTree>>,
    images: Vec<Arc<Image>>,
    data: Vec<Arc<DataFile>>,
}

/// Data files at one time: their indices are removed under the lock.
const VICTIMS: usize = 1024;

impl Victims {
    /// What is idle and was not wanted for longest. A copied tree first, whose contents are here a second time; an image alone
    /// last, when its data is in use.
    fn of(known: &mut Known, lacking: Lacking) -> Self {
        if let Some(tree) = trees::oldest_idle(known) {
            return Self { tree: Some(tree), ..Self::default() };
        }
        let data = Self::data(known, lacking);
        if data.len() > 0 { data } else { Self { images: images::oldest_idle(known).into_iter().collect(), ..data } }
    }

    fn data(known: &mut Known, lacking: Lacking) -> Self {
        let data = known.evict_all(&oldest_idle(known, lacking));
        if data.is_empty() {
            return Self::default();
        }
        let of_it = known.images.extract_if(|_, image| image.data().iter().any(|data| !data.stays()));
        Self { tree: None, images: of_it.map(|(_, image)| image).collect(), data }
    }

    fn len(&self) -> usize {
        usize::from(self.tree.is_some()) + self.data.len().max(self.images.len())
    }

    fn remove(self) {
        if let Some(tree) = self.tree {
            tree.remove();
        }
        // Unmounted before what they point into is removed.
        drop(self.images);
        drop(self.data);
    }
}

/// The data files that were not wanted for longest of those that only the cache and idle images hold; as many as it takes.
fn oldest_idle(known: &Known, lacking: Lacking) -> HashSet<u32> {
    let mut by_idle_images: HashMap<*const DataFile, usize> = HashMap::new();
    let idle_images = known.images.values().filter(|image| Arc::strong_count(image) == 1);
    for data in idle_images.flat_map(|image| image.data()) {
        *by_idle_images.entry(Arc::as_ptr(data)).or_default() += 1;
    }
    let is_idle = |data: &Arc<DataFile>| {
        Arc::strong_count(data) == 1 + by_idle_images.get(&Arc::as_ptr(data)).copied().unwrap_or_default()
    };
    let mut idle: Vec<_> = known.files.iter().filter(|(_, data)| is_idle(data)).collect();
    idle.sort_unstable_by_key(|(_, data)| data.used());
    let Lacking { mut bytes, mut pieces, mut files } = lacking;
    let needed = idle.into_iter().take(VICTIMS).take_while(|(_, data)| {
        let more = bytes > 0 || pieces > 0 || files > 0;
        bytes = bytes.saturating_sub(data.bytes());
        pieces = pieces.saturating_sub(u64::from(data.pieces()));
        files = files.saturating_sub(1);
        more
    });
    needed.map(|(file, _)| *file).collect()
}
