//! How far fetches are: for those who wait for a tree, whoever fetches it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use drydock_domain::{Digest, TenantId};

use super::NodeCache;

type Tree = (TenantId, Digest);

/// How far the fetch of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Bytes of contents that are here.
    pub(crate) done: u64,
    /// Bytes of contents that were missing.
    pub(crate) total: u64,
}

/// Fetches under way.
#[derive(Debug, Default)]
pub(super) struct Fetching(Mutex<HashMap<Tree, Arc<Progress>>>);

#[derive(Debug)]
struct Progress {
    done: AtomicU64,
    total: u64,
}

/// One of them; over when dropped.
#[derive(Debug)]
pub(super) struct Meter {
    cache: NodeCache,
    tree: Tree,
    progress: Arc<Progress>,
}

impl NodeCache {
    /// How far the fetch of a tree is; `None` where none is under way.
    pub(crate) fn fetched(&self, tenant: TenantId, tree: Digest) -> Option<Fetched> {
        let fetching = self.inner.fetching.lock();
        let progress = fetching.get(&(tenant, tree))?;
        Some(Fetched { done: progress.done.load(Ordering::Relaxed), total: progress.total })
    }

    /// Begins to count `total` bytes. One fetch at a time brings a tree, see flights.rs.
    pub(super) fn meter(&self, tree: Tree, total: u64) -> Meter {
        let progress = Arc::new(Progress { done: AtomicU64::new(0), total });
        self.inner.fetching.lock().insert(tree, Arc::clone(&progress));
        Meter { cache: self.clone(), tree, progress }
    }
}

impl Fetching {
    fn lock(&self) -> MutexGuard<'_, HashMap<Tree, Arc<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// So many bytes more are here.
    pub(super) fn add(&self, bytes: u64) {
        self.progress.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // A later fetch of the same tree may have begun.
        let mut fetching = self.cache.inner.fetching.lock();
        if fetching.get(&self.tree).is_some_and(|progress| Arc::ptr_eq(progress, &self.progress)) {
            fetching.remove(&self.tree);
        }
    }
}
