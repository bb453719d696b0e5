//! The node cache: contents of versions on this machine's disk, shared by all slots of the worker.
//!
//! Owns the cache directory, which nobody else may touch. A tree is *loaded* when all its contents lie in data files here;
//! what is missing is fetched, once whoever asks first, and only after its space was reserved. From a loaded tree a rung of
//! the ladder makes a workspace: an [`Image`] that is mounted, or files copied out. Whoever holds a [`Loaded`] tree or an
//! image pins it: what is pinned is never evicted. Contents are kept by tenant, so that none can learn what another has.
//!
//! ```text
//! <cache>/data/      data files and their indices, see data.rs
//! <cache>/mounts/    where images are mounted
//! <cache>/trees/     trees copied out for the overlay rung, see trees.rs
//! <cache>/trash/     what goes in the background
//! ```

#[cfg(test)]
mod audit;
mod budget;
mod data;
mod error;
mod fetch;
mod flights;
mod held;
mod image;
mod images;
mod index;
mod load;
mod metrics;
mod places;
mod plan;
mod progress;
mod restore;
mod state;
mod syncing;
mod transfers;
mod trees;
mod trial;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use drydock_domain::{Digest, TenantId};
use drydock_storage::Storage;
use tokio::sync::{Notify, Semaphore};

pub use self::{budget::CacheLimits, error::CacheError, metrics::CacheMetrics};
pub(crate) use self::{
    error::is_disk_full,
    image::{BLOCK, Extent},
    load::Loaded,
    progress::Fetched,
};
use self::{flights::Flights, progress::Fetching, state::State, syncing::Syncing, transfers::Transfers};

/// Trees fetched at the same time; those that are here already do not wait.
const FETCHES: usize = 4;

/// Handle to the cache; clones share it.
#[derive(Clone, Debug)]
pub struct NodeCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    limits: CacheLimits,
    storage: Storage,
    metrics: CacheMetrics,
    state: State,
    flights: Arc<Flights<(TenantId, Digest)>>,
    fetches: Semaphore,
    fetching: Fetching,
    memory: Semaphore,
    /// A tree came.
    came: Notify,
    transfers: Transfers,
    /// A turn for each core: more threads would decode no more, and each leaves buffers behind.
    decoding: Semaphore,
    syncing: Syncing,
    started: SystemTime,
    _lock: File,
}

impl NodeCache {
    /// Takes the directory at `path`, made if missing, for as long as this lives. What an earlier worker left of use is
    /// found by [`Self::restore`]. Blocking.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(path: &Path, limits: CacheLimits, storage: Storage, metrics: CacheMetrics) -> Result<Self, CacheError> {
        let lock = restore::lock(path)?;
        restore::prepare(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                directory: path.to_owned(),
                limits,
                storage,
                transfers: Transfers::new(metrics.fetch_limit.clone(), metrics.fetches_halved.clone()),
                metrics,
                state: State::default(),
                flights: Arc::default(),
                fetches: Semaphore::new(FETCHES),
                fetching: Fetching::default(),
                memory: Semaphore::new(fetch::MEMORY_KIB as usize),
                came: Notify::new(),
                decoding: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
                syncing: Syncing::start().map_err(CacheError::io("start a thread for", path))?,
                started: SystemTime::now(),
                _lock: lock,
            }),
        })
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.inner.directory
    }

    fn data_directory(&self) -> PathBuf {
        self.inner.directory.join(restore::DATA)
    }
}

/// A directory of the cache that workspaces are mounted over; held, it stays.
pub(crate) trait Lower: std::fmt::Debug + Send + Sync {
    /// Where it is.
    fn path(&self) -> &Path;
}
