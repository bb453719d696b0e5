//! `ManifestCache`: decoded manifests by what their versions' rows say, the least recently used dropped first.
//!
//! Bounded by bytes of memory. Several readers of one absent manifest fetch it once. A version with a delta is kept
//! beside its base, which serves the other versions of that.

use std::{num::NonZeroUsize, sync::Arc, sync::Mutex};

use drydock_domain::{Digest, TenantId};
use lru::LruCache;
use tokio::sync::OnceCell;

use crate::{Delta, Limits, Manifest, Storage, StorageError, StoredTree};

/// Manifests held at most, however small.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// The manifest object, and the hash of the delta where there is one.
type Key = (TenantId, Digest, Option<Digest>);
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

    /// The version's manifest with its delta applied, fetched and decoded if need be. The id of a manifest object alone
    /// is the version without a delta.
    pub async fn get(
        &self,
        storage: &Storage,
        tenant: TenantId,
        version: impl Into<StoredTree>,
    ) -> Result<Arc<Manifest>, StorageError> {
        let StoredTree { manifest, delta } = version.into();
        // Boxed: a request to the bucket is a big future, and this one would hold several.
        let fetch_base = || Box::pin(Manifest::fetch(storage, tenant, manifest, self.limits));
        let Some(delta) = delta else {
            return self.get_or_make((tenant, manifest, None), fetch_base()).await;
        };
        let key = (tenant, manifest, Some(Digest::of(&delta)));
        let make = async {
            let base = self.get_or_make((tenant, manifest, None), fetch_base()).await?;
            let limits = self.limits;
            let applying = tokio::task::spawn_blocking(move || {
                let delta = Delta::decode(&delta, &base, &limits)?;
                Manifest::apply(&base, Arc::new(delta)).map(Arc::new)
            });
            applying.await.map_err(|_| StorageError::Interrupted)?
        };
        self.get_or_make(key, Box::pin(make)).await
    }

    /// The version's manifest, if it is here. Asks nobody for it, and does not count as a use.
    pub fn find(&self, tenant: TenantId, version: &StoredTree) -> Option<Arc<Manifest>> {
        let key = (tenant, version.manifest, version.delta.as_ref().map(|delta| Digest::of(delta)));
        self.lock().peek(&key)?.get().cloned()
    }

    /// Keeps what was just written, so that nobody has to fetch it.
    pub fn insert(&self, tenant: TenantId, manifest: Arc<Manifest>) {
        let StoredTree { manifest: id, delta } = manifest.stored();
        let key = (tenant, id, delta.map(|delta| Digest::of(&delta)));
        self.lock().put(key, Arc::new(OnceCell::new_with(Some(manifest))));
        self.shrink();
    }

    async fn get_or_make(
        &self,
        key: Key,
        make: impl Future<Output = Result<Arc<Manifest>, StorageError>>,
    ) -> Result<Arc<Manifest>, StorageError> {
        let slot = Arc::clone(self.lock().get_or_insert(key, Slot::default));
        let cached = slot.initialized();
        match slot.get_or_try_init(|| make).await {
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
