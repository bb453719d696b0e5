//! The bounds: what counts towards them, and what goes when they are exceeded.

use std::{io, os::fd::AsFd as _, path::PathBuf};

use drydock_domain::{Entry, EntryKind};
use rustix::mount::MountAttrFlags;

use super::*;
use crate::{
    cache::{
        Loaded,
        budget::Space,
        data::{DataWriter, Piece},
    },
    mount::{self, Mounting},
};

/// A small disk of its own, so that nobody else's files change what is free on it.
struct Disk(TempDir);

impl Disk {
    fn new(mebibytes: u64, inodes: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mounting = Mounting::of("tmpfs").unwrap();
        let mounting = mounting.option("size", &format!("{mebibytes}m")).option("nr_inodes", &inodes.to_string());
        mounting.mount(mount::handle(place.path()).unwrap().as_fd(), MountAttrFlags::empty()).unwrap();
        Self(place)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        mount::unmount(self.0.path()).unwrap();
    }
}

/// A version of so many files of a few bytes.
async fn small_files(storage: &Storage, seed: u8, count: u32) -> Arc<Manifest> {
    let names: Vec<String> = (0..count).map(|at| format!("f{at:03}")).collect();
    let files =
        names.iter().zip(0..).map(|(name, at): (_, u32)| (name.as_str(), [&[seed][..], &at.to_le_bytes()].concat()));
    version(storage, &files.collect::<Vec<_>>()).await
}

fn files(cache: &NodeCache) -> usize {
    cache.inner.state.lock().files.len()
}

#[tokio::test]
async fn old_pieces_go_where_there_are_too_many_but_no_job_goes_without() {
    let storage = storage();
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), CacheLimits { max_pieces: 25, ..UNLIMITED }, &storage);
    let mut versions = Vec::new();
    for seed in 0..3 {
        versions.push(small_files(&storage, seed, 10).await);
    }
    for at in [0, 1, 0, 2] {
        drop(cache.load(TENANT, &versions[at]).await.unwrap());
    }
    assert_eq!((files(&cache), cache.inner.state.lock().pieces), (2, 20));
    assert_eq!(cache.inner.metrics.misses.get(), 3);
    drop(cache.load(TENANT, &versions[0]).await.unwrap());
    assert_eq!(cache.inner.metrics.misses.get(), 3, "wanted before, and kept");

    let many = small_files(&storage, 9, 30).await;
    let loaded = cache.load(TENANT, &many).await.unwrap();
    assert_eq!((loaded.extents.len(), cache.inner.state.lock().pieces), (30, 30));
}

/// Data files of one block each, wanted in this order.
fn fill(cache: &NodeCache, count: u32) {
    let directory = cache.inner.directory.join("data");
    for at in 0..count {
        let mut reserved = cache.reserve(Space { bytes: BLOCK, pieces: 1, inodes: 2 }).unwrap();
        let writer = DataWriter::create(&directory, TENANT, 1).unwrap();
        reserved.allocated();
        let piece = Piece { digest: Digest::of(&at.to_le_bytes()), block: 0, len: 4 };
        let data = writer.finish(std::iter::once(piece)).unwrap();
        data.touch(cache.inner.state.tick());
        let mut known = cache.inner.state.lock();
        let (file, _) = known.add(data);
        known.place(file, [piece]);
        drop(known);
        reserved.keep();
    }
}

#[tokio::test]
async fn very_many_data_files_go_in_several_goes_and_in_order() {
    const FILES: u32 = 1500;
    let disk = tempfile::tempdir().unwrap();
    let limits = CacheLimits { max_bytes: u64::from(FILES) * BLOCK, ..UNLIMITED };
    let cache = open(disk.path(), limits, &storage());
    fill(&cache, FILES);
    drop(cache.reserve(Space { bytes: 1400 * BLOCK, ..Space::default() }).unwrap());
    assert_eq!((cache.inner.metrics.evicted.get(), files(&cache)), (1400, 100));
    assert_eq!(data_files(disk.path()).len(), 200, "each with its index");
    let known = cache.inner.state.lock();
    let there = |at: u32| known.places(TENANT).unwrap().get(&Digest::of(&at.to_le_bytes())).is_some();
    assert!((0..1400).all(|at| !there(at)) && (1400..FILES).all(there), "the last wanted stay");
    assert_eq!((known.bytes, known.pieces), (100 * BLOCK, 100));
}

#[tokio::test]
async fn a_successor_keeps_what_was_written_last_within_its_bounds() {
    let storage = storage();
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    let mut indices: Vec<PathBuf> = Vec::new();
    let mut versions = Vec::new();
    for seed in 0..3 {
        versions.push(small_files(&storage, seed, 10).await);
        drop(cache.load(TENANT, &versions[usize::from(seed)]).await.unwrap());
        let new =
            data_files(disk.path()).into_iter().find(|path| path.extension().is_some() && !indices.contains(path));
        indices.extend(new);
    }
    for (index, age) in indices.iter().zip([200, 300, 100]) {
        written_to_disk(index).await;
        let then = std::time::SystemTime::now() - Duration::from_secs(age);
        for path in [index, &index.with_extension("")] {
            fs_err::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        }
    }
    drop(cache);
    let successor = open(disk.path(), CacheLimits { max_pieces: 25, ..UNLIMITED }, &storage);
    successor.restore().unwrap();
    assert_eq!(successor.inner.state.lock().pieces, 20);
    let kept: Vec<bool> = indices.iter().map(|index| index.exists()).collect();
    assert_eq!(kept, [true, false, true]);
}

#[tokio::test]
async fn disk_that_workspaces_took_is_given_back() {
    let storage = storage();
    let disk = Disk::new(64, 0);
    let limits = CacheLimits { min_free: 16 << 20, ..UNLIMITED };
    let cache = open(&disk.path().join("cache"), limits, &storage);
    let mut versions = Vec::new();
    for seed in 0..3 {
        versions.push(version(&storage, &[("f", noise(30 + seed, 8 << 20))]).await);
    }
    let pinned = cache.load(TENANT, &versions[0]).await.unwrap();
    for at in [1, 2] {
        drop(cache.load(TENANT, &versions[at]).await.unwrap());
    }
    cache.give_back().unwrap();
    assert_eq!(files(&cache), 3, "40 MiB are free, 16 must be");

    fs_err::write(disk.path().join("workspace"), vec![1; 30 << 20]).unwrap();
    cache.give_back().unwrap();
    assert_eq!(files(&cache), 2, "one is enough");
    assert!(rustix::fs::statvfs(disk.path()).unwrap().f_bavail * BLOCK >= 16 << 20);

    fs_err::write(disk.path().join("another"), vec![1; 16 << 20]).unwrap();
    cache.give_back().unwrap();
    assert_eq!(files(&cache), 1, "what a job uses stays whatever happens");
    let mut first = [0; 8];
    pinned.data[0].open().unwrap().read_exact_at(&mut first, 0).unwrap();
    assert_eq!(first, noise(30, 8)[..]);
}

#[tokio::test]
async fn a_copied_tree_needs_inodes_as_well() {
    let storage = storage();
    let manifest = small_files(&storage, 1, 40).await;
    let disk = Disk::new(64, 10_040);
    let cache = open(&disk.path().join("cache"), UNLIMITED, &storage);
    // The contents take two inodes whatever the number of files.
    drop(cache.load(TENANT, &manifest).await.unwrap());
    let error = cache.tree(TENANT, &manifest, copy_nothing).await.unwrap_err();
    assert!(matches!(error, CacheError::Full { .. }) && error.to_string().contains("inodes"), "{error}");
    assert_eq!(files(&cache), 1, "contents are no inodes to speak of");
    let fits = Space { inodes: 20, ..Space::default() };
    drop(cache.reserve(fits).unwrap());
}

fn copy_nothing(_: &Arc<Manifest>, _: &Loaded, _: &Path) -> io::Result<()> {
    Ok(())
}

#[tokio::test]
async fn copied_trees_and_images_count_and_do_not_keep_the_cache() {
    let Tight { cache, versions, _disk } = tight().await;
    let image = cache.image(TENANT, &versions[0]).await.unwrap();
    let with_image = 40 * BLOCK + image_bytes(image.path(), 40);
    assert_eq!(cache.inner.state.lock().bytes, with_image);
    // One file of 40 blocks.
    let tree = cache.tree(TENANT, &versions[0], copy_nothing).await.unwrap();
    assert_eq!(cache.inner.state.lock().bytes, with_image + 40 * BLOCK);
    let error = cache.load(TENANT, &versions[1]).await.unwrap_err();
    assert!(matches!(error, CacheError::Full { .. }), "all of it is used: {error}");

    drop(tree);
    let second = cache.load(TENANT, &versions[1]).await.unwrap();
    assert_eq!(cache.inner.state.lock().bytes, with_image + 40 * BLOCK, "the tree went");
    drop((second, image));
    let third = cache.image(TENANT, &versions[2]).await.unwrap();
    let now = 80 * BLOCK + image_bytes(third.path(), 40);
    assert_eq!(cache.inner.state.lock().bytes, now, "the first image went with what it points into");

    drop(third);
    drop(cache.tree(TENANT, &versions[2], copy_nothing).await.unwrap());
    let storage = cache.inner.storage.clone();
    drop(cache);
    open(_disk.path(), UNLIMITED, &storage);
}

/// Red when whoever wants a tree that is here waits behind somebody who waits for a turn to fetch it.
#[tokio::test]
async fn what_came_meanwhile_is_used_while_others_wait_for_a_turn() {
    let storage = storage();
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    let small = small_files(&storage, 1, 3).await;
    let turns = cache.inner.fetches.acquire_many(cache.inner.fetches.available_permits() as u32).await.unwrap();
    let waiting = drydock_runtime::tasks::spawn("waiting", {
        let (cache, small) = (cache.clone(), Arc::clone(&small));
        async move { cache.load(TENANT, &small).await.map(drop) }
    });
    drydock_testing::until("it has the tree's lane", Duration::from_secs(20), || async {
        cache.inner.flights.try_board((TENANT, small.tree_id())).is_none().then_some(())
    })
    .await;
    place(&cache, &small);
    let loaded = tokio::time::timeout(Duration::from_secs(20), cache.load(TENANT, &small)).await.unwrap().unwrap();
    assert_eq!((loaded.extents.len(), cache.inner.metrics.misses.get()), (3, 0));
    drop(turns);
    waiting.await.unwrap().unwrap();
    assert_eq!(cache.inner.metrics.misses.get(), 0, "it looked again when it had its turn");
}

/// Red when who waited for a tree's lane waits for a turn as well, and then has nothing to fetch.
#[tokio::test]
async fn what_the_one_before_brought_takes_no_turn() {
    let storage = storage();
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    let small = small_files(&storage, 2, 3).await;
    let _turns = cache.inner.fetches.acquire_many(cache.inner.fetches.available_permits() as u32).await.unwrap();
    let before = cache.inner.flights.board((TENANT, small.tree_id())).await;
    let mut load = std::pin::pin!(cache.load(TENANT, &small));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut load).await.is_err(), "it waits for the lane");
    place(&cache, &small);
    drop(before);
    let loaded = tokio::time::timeout(Duration::from_secs(5), load).await;
    assert_eq!(loaded.unwrap().unwrap().extents.len(), 3);
}

/// A data file with all contents of small files, as if another version had brought them.
fn place(cache: &NodeCache, manifest: &Manifest) {
    let blobs: Vec<Digest> = manifest.tree().entries().iter().filter_map(blob).collect();
    let mut reserved = cache.reserve(Space { bytes: blobs.len() as u64 * BLOCK, pieces: 3, inodes: 2 }).unwrap();
    let writer = DataWriter::create(&cache.inner.directory.join("data"), TENANT, blobs.len() as u32).unwrap();
    reserved.allocated();
    let pieces: Vec<Piece> =
        blobs.into_iter().zip(0..).map(|(digest, block)| Piece { digest, block, len: 5 }).collect();
    let data = writer.finish(pieces.iter().copied()).unwrap();
    let mut known = cache.inner.state.lock();
    let (file, _) = known.add(data);
    known.place(file, pieces);
    drop(known);
    reserved.keep();
}

fn blob(entry: &Entry) -> Option<Digest> {
    match entry.kind {
        EntryKind::File { blob, .. } => Some(blob),
        _ => None,
    }
}
