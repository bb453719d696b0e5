//! `ManifestCache`: decoded manifests by id, the least recently used dropped first.
//!
//! Bounded by bytes of memory. Several readers of one absent manifest fetch it once.

use std::{num::NonZeroUsize, sync::Arc, sync::Mutex};

use drydock_domain::{Digest, TenantId};
use lru::LruCache;
use tokio::sync::OnceCell;

use crate::{Limits, Manifest, Storage, StorageError};

/// Manifests held at most, however small.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

type Key = (TenantId, Digest);
type Slot = Arc<OnceCell<Arc<Manifest>>>;

/// Cache of decoded manifests; share it behind an `Arc`.
#[derive(Debug)]
pub struct ManifestCache {
    slots: Mutex<LruCache<Key, Slot>>,
    capacity: usize,
    limits: Limits,
}

impl ManifestCache {
    /// A cache of at most `capacity` bytes; a manifest larger than that is read but not kept.
    pub fn new(capacity: usize, limits: Limits) -> Self {
        Self { slots: Mutex::new(LruCache::new(ENTRIES)), capacity, limits }
    }

    /// The manifest, fetched if need be.
    pub async fn get(&self, storage: &Storage, tenant: TenantId, id: Digest) -> Result<Arc<Manifest>, StorageError> {
        let key = (tenant, id);
        let slot = Arc::clone(self.lock().get_or_insert(key, Slot::default));
        let cached = slot.initialized();
        let manifest = slot.get_or_try_init(|| Manifest::fetch(storage, tenant, id, self.limits)).await;
        match manifest {
            Ok(manifest) => {
                if !cached {
                    self.shrink();
                }
                Ok(Arc::clone(manifest))
            }
            Err(error) => {
                self.lock().pop(&key);
                Err(error)
            }
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.lock().iter().map(|(_, slot)| memory(slot)).sum()
    }

    fn shrink(&self) {
        let mut slots = self.lock();
        let mut held: usize = slots.iter().map(|(_, slot)| memory(slot)).sum();
        while held > self.capacity {
            let Some((_, slot)) = slots.pop_lru() else {
                return;
            };
            held -= memory(&slot);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Key, Slot>> {
        // The map is consistent between any two calls on it, so a panic elsewhere does not spoil it.
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn memory(slot: &Slot) -> usize {
    slot.get().map_or(0, |manifest| manifest.memory())
}
