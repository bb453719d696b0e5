//! What the cache knows: data files, where each piece lies in them, and images. One lock, held for look-ups only.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
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
    trees::CopiedTree,
};

/// Where a piece lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Number of its data file.
    pub(super) file: u32,
    pub(super) block: u32,
}

/// The first bytes of a BLAKE3 hash are as good as any hash of them.
#[derive(Default)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(Ok(first)) = bytes.get(..8).map(<[u8; 8]>::try_from) {
            self.0 = u64::from_le_bytes(first);
        }
    }

    // The length of the array, which says nothing.
    fn write_usize(&mut self, _: usize) {}
}

type Places = HashMap<Digest, Place, BuildHasherDefault<DigestHasher>>;

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
    /// Bytes of data files, those that are being filled among them.
    pub(super) bytes: u64,
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
    /// Takes in a data file whose bytes are counted already.
    pub(super) fn add(&mut self, data: DataFile, pieces: &[Piece]) -> Arc<DataFile> {
        let data = Arc::new(data);
        let file = self.next;
        self.next += 1;
        self.files.insert(file, Arc::clone(&data));
        let places = self.places.entry(data.tenant).or_default();
        places.extend(pieces.iter().map(|piece| (piece.digest, Place { file, block: piece.block })));
        data
    }

    pub(super) fn places(&self, tenant: TenantId) -> Option<&Places> {
        self.places.get(&tenant)
    }

    /// Forgets a data file; it goes from the disk when its last user lets go.
    pub(super) fn evict(&mut self, file: u32) -> Option<Arc<DataFile>> {
        let data = self.files.remove(&file)?;
        self.bytes -= data.bytes();
        if let Some(places) = self.places.get_mut(&data.tenant) {
            places.retain(|_, place| place.file != file);
            if places.is_empty() {
                self.places.remove(&data.tenant);
            }
        }
        data.condemn();
        Some(data)
    }
}
