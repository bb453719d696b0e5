//! Which trees are here: what a job can start from without object storage.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use drydock_domain::{Digest, TenantId};

use super::{NodeCache, data::DataFile};

/// Trees that are remembered, at most; of more, those loaded longest ago are forgotten, though their contents may be here.
const REMEMBERED: usize = 1024;

/// Trees that were loaded.
#[derive(Debug, Default)]
pub(super) struct Held {
    trees: HashMap<(TenantId, Digest), Load>,
}

/// When a tree was loaded last, and from which data files.
#[derive(Debug)]
struct Load {
    at: u64,
    data: Vec<Weak<DataFile>>,
}

impl Held {
    /// Answers whether it was not known.
    pub(super) fn remember(&mut self, tenant: TenantId, tree: Digest, at: u64, data: &[Arc<DataFile>]) -> bool {
        let load = Load { at, data: data.iter().map(Arc::downgrade).collect() };
        let new = self.trees.insert((tenant, tree), load).is_none();
        if self.trees.len() > REMEMBERED {
            let oldest = self.trees.iter().min_by_key(|(_, load)| load.at).map(|(key, _)| *key);
            oldest.map(|key| self.trees.remove(&key));
        }
        new
    }

    fn whole(&mut self) -> impl Iterator<Item = (TenantId, Digest)> {
        self.trees.retain(|_, load| load.data.iter().all(|data| data.upgrade().is_some_and(|data| data.stays())));
        self.trees.keys().copied()
    }
}

impl NodeCache {
    /// The trees a job could start from at once, as far as is known.
    pub(crate) fn held(&self) -> HashSet<(TenantId, Digest)> {
        let mut known = self.inner.state.lock();
        let images: Vec<_> = known.images.keys().copied().collect();
        known.held.whole().chain(images).collect()
    }

    /// Waits until a tree came that was not here.
    pub(crate) async fn came(&self) {
        self.inner.came.notified().await;
    }

    pub(super) fn remember(&self, tenant: TenantId, tree: Digest, data: &[Arc<DataFile>]) {
        let now = self.inner.state.tick();
        if self.inner.state.lock().held.remember(tenant, tree, now, data) {
            self.inner.came.notify_one();
        }
    }
}
