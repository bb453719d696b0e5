//! What the cache knows: data files, where each piece lies in them, and images. One lock, held for look-ups only.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use drydock_domain::{Digest, TenantId};

use super::{
    data::{DataFile, Piece},
    held::Held,
    images::Image,
    places::{Place, Places},
    trees::CopiedTree,
};

#[derive(Debug, Default)]
pub(super) struct State {
    known: Mutex<Known>,
    clock: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) files: HashMap<u32, Arc<DataFile>>,
    pub(super) images: HashMap<(TenantId, Digest), Arc<Image>>,
    pub(super) trees: HashMap<(TenantId, Digest), Arc<CopiedTree>>,
    pub(super) held: Held,
    places: HashMap<TenantId, Places>,
    next: u32,
    /// Bytes of data files, images and copied trees, those that are being made among them.
    pub(super) bytes: u64,
    /// Pieces in data files; what two have counts twice.
    pub(super) pieces: u64,
    /// Bytes of them that the file system has not taken off what is free yet.
    pub(super) unallocated: u64,
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        // Consistent between any two calls, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Later than any before.
    pub(super) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Known {
    /// Takes in a data file whose bytes are counted already; its pieces are told with [`Self::place`].
    pub(super) fn add(&mut self, data: DataFile) -> (u32, Arc<DataFile>) {
        let data = Arc::new(data);
        let file = self.next;
        self.next += 1;
        self.pieces += u64::from(data.pieces());
        self.files.insert(file, Arc::clone(&data));
        (file, data)
    }

    /// Notes what lies in a data file, unless that is gone already.
    pub(super) fn place(&mut self, file: u32, pieces: impl IntoIterator<Item = Piece>) {
        let Some(data) = self.files.get(&file) else { return };
        let places = self.places.entry(data.tenant).or_default();
        for Piece { digest, block, .. } in pieces {
            places.insert(&digest, Place { file, block });
        }
    }

    pub(super) fn places(&self, tenant: TenantId) -> Option<&Places> {
        self.places.get(&tenant)
    }

    /// Forgets data files; they go from the disk when their last user lets go.
    pub(super) fn evict_all(&mut self, files: &HashSet<u32>) -> Vec<Arc<DataFile>> {
        let evicted: Vec<_> = files.iter().filter_map(|file| self.files.remove(file)).collect();
        for data in &evicted {
            self.bytes -= data.bytes();
            self.pieces -= u64::from(data.pieces());
            data.condemn();
        }
        let tenants: HashSet<TenantId> = evicted.iter().map(|data| data.tenant).collect();
        for tenant in tenants {
            if let Some(places) = self.places.get_mut(&tenant) {
                places.remove(files);
                if places.is_empty() {
                    self.places.remove(&tenant);
                }
            }
        }
        evicted
    }
}
