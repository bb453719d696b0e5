//! For tests: what the cache believes, held against what is on the disk.

use std::{
    collections::BTreeSet,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_domain::Digest;

use super::{
    BLOCK, NodeCache,
    index::{self, Durability},
    restore::{DATA, MOUNTS, TEMPORARY, TRASH, TREES},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes a file system may take for a file besides its own: blocks that say where the others are.
const EXTENTS: u64 = 64 << 10;

impl NodeCache {
    /// Bytes it counts, those of what is being brought among them.
    pub(crate) fn counted(&self) -> u64 {
        self.inner.state.lock().bytes
    }

    /// Data files removed to make room.
    pub(crate) fn evicted(&self) -> u64 {
        self.inner.metrics.evicted.get()
    }

    /// Requests for contents that may be under way at once.
    pub(crate) fn fetch_limit(&self) -> i64 {
        self.inner.metrics.fetch_limit.get()
    }

    /// Times that number was halved.
    pub(crate) fn fetches_halved(&self) -> u64 {
        self.inner.metrics.fetches_halved.get()
    }

    /// Panics unless all that is counted is on the disk and all that is on the disk is counted, takes as much of it as is
    /// counted, and reads as its hashes say. Nobody may be using it; what goes on other threads is waited for.
    pub(crate) async fn audit(&self) {
        let (files, images, copies) = self.believed();
        let indices: BTreeSet<PathBuf> = files.iter().map(|data| index::path(data)).collect();
        let expected: BTreeSet<PathBuf> = files.union(&indices).cloned().collect();
        let is_so = || async { (self.below(DATA) == expected).then_some(()) };
        drydock_testing::until("no data file is left over or missing", PATIENCE, is_so).await;
        files.iter().for_each(|data| assert_reads(data));
        for (directory, count) in [(MOUNTS, images), (TREES, copies), (TEMPORARY, 0), (TRASH, 0)] {
            let is_so = || async { (self.below(directory).len() == count).then_some(()) };
            drydock_testing::until(&format!("{directory} holds {count}"), PATIENCE, is_so).await;
        }
    }

    /// As [`Self::audit`], when all of it is on the disk.
    pub(crate) async fn audit_synced(&self) {
        let (files, ..) = self.believed();
        let is_synced = |data: &PathBuf| {
            index::read(&index::path(data)).unwrap().is_some_and(|index| index.header.durability == Durability::Synced)
        };
        let are_synced = || async { files.iter().all(is_synced).then_some(()) };
        drydock_testing::until("all of it is synced", PATIENCE, are_synced).await;
        self.audit().await;
    }

    /// Data files, and how many images and copied trees.
    fn believed(&self) -> (BTreeSet<PathBuf>, usize, usize) {
        let known = self.inner.state.lock();
        assert_eq!(known.unallocated, 0, "nothing is being brought");
        let data: u64 = known.files.values().map(|data| data.bytes()).sum();
        let trees: u64 = known.trees.values().map(|tree| tree.reserved()).sum();
        let images: u64 = known.images.values().map(|image| image.reserved()).sum();
        assert_eq!(known.bytes, data + trees + images, "every byte counted is something's");
        let files: BTreeSet<PathBuf> = known.files.values().map(|data| data.path().to_owned()).collect();
        (files, known.images.len(), known.trees.len())
    }

    fn below(&self, directory: &str) -> BTreeSet<PathBuf> {
        let entries = fs_err::read_dir(self.inner.directory.join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A full reading, by nothing but the index.
fn assert_reads(data: &Path) {
    let file = std::fs::File::open(data).unwrap();
    let index = index::read(&index::path(data)).unwrap().unwrap();
    let (metadata, bytes) = (file.metadata().unwrap(), u64::from(index.header.blocks) * BLOCK);
    assert_eq!(metadata.len(), bytes);
    let taken = metadata.blocks() * 512;
    assert!((bytes..=bytes + EXTENTS).contains(&taken), "{bytes} bytes take {taken} of the disk");
    for piece in index.pieces().unwrap() {
        let piece = piece.unwrap();
        let mut content = vec![0; piece.len as usize];
        file.read_exact_at(&mut content, u64::from(piece.block) * BLOCK).unwrap();
        assert_eq!(Digest::of(&content), piece.digest, "{}, block {}", data.display(), piece.block);
    }
}
