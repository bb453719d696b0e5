//! The cache against a real S3 server, a real file system and the real kernel.

mod bounds;
mod lost;
mod progress;

use std::{
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use drydock_domain::{Digest, Mode, ObjectKind, RelativePath, TenantId};
use drydock_storage::{
    BoxError, Limits, Manifest, Once, PackRegistry, Storage, StorageErrorKind, WriteOptions, write_tree,
};
use prometheus::Registry;
use tempfile::TempDir;

use super::{BLOCK, CacheError, CacheLimits, CacheMetrics, Lower as _, NodeCache};

const TENANT: TenantId = TenantId::DEFAULT;
const UNLIMITED: CacheLimits = CacheLimits { max_bytes: u64::MAX, min_free: 0, max_pieces: u64::MAX };

/// Places in an index, see index.rs.
const BOOT_ID: usize = 28;
const SYNCED: usize = 64;

struct Accept;

impl PackRegistry for Accept {
    async fn uploading(&self, _: ObjectKind, _: Digest, _: u64) -> Result<(), BoxError> {
        Ok(())
    }
}

fn storage() -> Storage {
    drydock_testing::storage(&drydock_testing::storage_config())
}

/// Stores a version with these files.
async fn version(storage: &Storage, files: &[(&str, Vec<u8>)]) -> Arc<Manifest> {
    let temp = tempfile::tempdir().unwrap();
    let options =
        WriteOptions { tenant: TENANT, base: None, limits: Limits::default(), temp_dir: temp.path().to_owned() };
    let files: Vec<_> = files.iter().map(|(name, content)| ((*name).to_owned(), content.clone())).collect();
    let written = write_tree(storage, options, &Accept, move |writer| {
        for (name, content) in files {
            writer.add_file(RelativePath::new(name).unwrap(), Mode::new(0o644), &mut Once(&content[..]))?;
        }
        Ok(())
    });
    written.await.unwrap().unwrap().manifest
}

fn open(directory: &Path, limits: CacheLimits, storage: &Storage) -> NodeCache {
    let metrics = CacheMetrics::register(&Registry::new()).unwrap();
    NodeCache::open(directory, limits, storage.clone(), metrics).unwrap()
}

fn data_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("data")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // An index that is just being written has another name until it is whole.
    let mut paths: Vec<_> =
        paths.filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b".")).collect();
    paths.sort();
    paths
}

/// The only index, once its data is on the disk: it is written again then.
async fn synced_index(directory: &Path) -> PathBuf {
    let index = data_files(directory).into_iter().find(|path| path.extension().is_some()).unwrap();
    written_to_disk(&index).await;
    index
}

async fn written_to_disk(index: &Path) {
    drydock_testing::until("the data is synced", Duration::from_secs(20), || async {
        (fs_err::read(index).unwrap()[SYNCED] == 1).then_some(())
    })
    .await;
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Whether a file of a mounted version reads as it should.
async fn reads(cache: &NodeCache, manifest: &Arc<Manifest>, name: &str, content: &[u8]) -> bool {
    let image = cache.image(TENANT, manifest).await.unwrap();
    fs_err::read(image.path().join(name)).unwrap() == content
}

#[tokio::test]
async fn contents_are_fetched_once_whoever_asks() {
    let storage = storage();
    let big = noise(1, (9 << 20) + 7);
    let first = version(&storage, &[("big", big.clone()), ("small", b"small".to_vec())]).await;
    let second = version(&storage, &[("also", b"small".to_vec()), ("other", b"other".to_vec())]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    let (one, two) = tokio::join!(cache.image(TENANT, &first), cache.image(TENANT, &first));
    assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
    assert!(reads(&cache, &first, "big", &big).await && reads(&cache, &first, "small", b"small").await);
    assert!(reads(&cache, &second, "also", b"small").await && reads(&cache, &second, "other", b"other").await);
    let lengths = data_files(disk.path()).into_iter().filter(|path| path.extension().is_none());
    let mut lengths: Vec<u64> = lengths.map(|path| path.metadata().unwrap().len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [BLOCK, (9 << 20) + 2 * BLOCK], "what both have lies in the first one's file only");
    assert_eq!(cache.inner.metrics.misses.get(), 2);
}

#[tokio::test]
async fn a_tenants_contents_are_its_own() {
    let storage = storage();
    let manifest = version(&storage, &[("f", b"secret".to_vec())]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    cache.image(TENANT, &manifest).await.unwrap();
    let stranger = TenantId::generate();
    assert!(cache.find_image(stranger, manifest.tree_id()).is_none());
    let error = cache.image(stranger, &manifest).await.unwrap_err();
    assert!(
        matches!(error, CacheError::Storage(e) if e.kind() == StorageErrorKind::NotFound),
        "nothing of it is given"
    );
}

#[tokio::test]
async fn a_successor_finds_what_is_whole_and_removes_the_rest() {
    let storage = storage();
    let content = noise(2, 300_000);
    let manifest = version(&storage, &[("f", content.clone())]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    cache.image(TENANT, &manifest).await.unwrap();
    // Killed: nothing is unmounted, nothing removed; a download was under way.
    std::mem::forget(cache.image(TENANT, &manifest).await.unwrap());
    // A process that is killed writes nothing any more, as the thread that syncs would.
    synced_index(disk.path()).await;
    drop(cache);
    let rubbish = disk.path().join("data/0123456789abcdef");
    fs_err::write(&rubbish, "half").unwrap();
    fs_err::write(disk.path().join("trees/left"), "left").unwrap();

    let successor = open(disk.path(), UNLIMITED, &storage);
    assert_eq!(std::fs::read_dir(disk.path().join("mounts")).unwrap().count(), 0, "nothing is mounted");
    assert_eq!(successor.restore().unwrap(), 1);
    assert!(!rubbish.exists());
    assert_eq!(std::fs::read_dir(disk.path().join("trash")).unwrap().count(), 0);
    let pack = storage.keys(TENANT).pack(manifest.packs()[0].id);
    storage.delete(&pack).await.unwrap();
    assert!(reads(&successor, &manifest, "f", &content).await, "without the pack");
}

#[tokio::test]
async fn what_may_have_been_lost_with_the_machine_is_not_trusted() {
    let storage = storage();
    let manifest = version(&storage, &[("f", noise(3, 5000))]).await;
    for (durable, found) in [(false, 0), (true, 1)] {
        let disk = tempfile::tempdir().unwrap();
        let cache = open(disk.path(), UNLIMITED, &storage);
        drop(cache.load(TENANT, &manifest).await.unwrap());
        let index = synced_index(disk.path()).await;
        drop(cache);
        // The machine was started again since: another boot id.
        let mut bytes = fs_err::read(&index).unwrap();
        bytes[BOOT_ID] ^= 1;
        bytes[SYNCED] = u8::from(durable);
        let body = bytes.len() - 32;
        let digest = Digest::of(&bytes[..body]);
        bytes[body..].copy_from_slice(digest.as_bytes());
        fs_err::write(&index, bytes).unwrap();
        assert_eq!(open(disk.path(), UNLIMITED, &storage).restore().unwrap(), found, "durable: {durable}");
    }
}

#[tokio::test]
async fn a_damaged_index_is_as_good_as_none() {
    let storage = storage();
    let manifest = version(&storage, &[("f", noise(4, 5000))]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    cache.load(TENANT, &manifest).await.unwrap();
    let index = &synced_index(disk.path()).await;
    drop(cache);
    let good = fs_err::read(index).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs_err::write(index, &bad).unwrap();
        assert!(super::index::read(index).unwrap().is_none(), "byte {at}");
        fs_err::write(index, &good[..at]).unwrap();
        assert!(super::index::read(index).unwrap().is_none(), "cut at {at}");
    }
    assert_eq!(open(disk.path(), UNLIMITED, &storage).restore().unwrap(), 0);
    assert!(data_files(disk.path()).is_empty());
}

#[tokio::test]
async fn a_data_file_cut_behind_our_back_is_fetched_again() {
    let storage = storage();
    let content = noise(5, 100_000);
    let manifest = version(&storage, &[("f", content.clone())]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    assert!(reads(&cache, &manifest, "f", &content).await);
    let data = data_files(disk.path()).into_iter().find(|path| path.extension().is_none()).unwrap();
    std::fs::File::options().write(true).open(&data).unwrap().set_len(BLOCK).unwrap();
    assert!(reads(&cache, &manifest, "f", &content).await);
    assert_eq!(cache.inner.metrics.damaged.get(), 1);
}

/// What somebody may do to a data file, given its path.
type Harm = fn(&Path);

/// Besides cutting it, of which the test above is.
const HARMS: [(&str, Harm); 5] = [
    ("remove", |data| fs_err::remove_file(data).unwrap()),
    ("zero", |data| fs_err::write(data, vec![0; data.metadata().unwrap().len() as usize]).unwrap()),
    ("flip a bit", |data| {
        let mut content = fs_err::read(data).unwrap();
        content[5000] ^= 1;
        std::fs::File::options().write(true).open(data).unwrap().write_all_at(&content, 0).unwrap();
    }),
    ("put a link in its place", |data| {
        fs_err::rename(data, data.with_extension("away")).unwrap();
        std::os::unix::fs::symlink(data.with_extension("away"), data).unwrap();
    }),
    ("put a directory in its place", |data| {
        fs_err::remove_file(data).unwrap();
        fs_err::create_dir(data).unwrap();
    }),
];

#[tokio::test]
async fn a_data_file_harmed_behind_our_back_is_fetched_again() {
    let storage = storage();
    let content = noise(6, 100_000);
    let manifest = version(&storage, &[("f", content.clone())]).await;
    for (what, harm) in HARMS {
        let disk = tempfile::tempdir().unwrap();
        let cache = open(disk.path(), UNLIMITED, &storage);
        assert!(reads(&cache, &manifest, "f", &content).await);
        let index = synced_index(disk.path()).await;
        harm(&index.with_extension(""));
        assert!(reads(&cache, &manifest, "f", &content).await, "{what}");
        assert_eq!(cache.inner.metrics.damaged.get(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_successor_does_not_trust_what_was_harmed_meanwhile() {
    let storage = storage();
    let content = noise(7, 100_000);
    let manifest = version(&storage, &[("f", content.clone())]).await;
    for (what, harm) in HARMS {
        let disk = tempfile::tempdir().unwrap();
        drop(open(disk.path(), UNLIMITED, &storage).load(TENANT, &manifest).await.unwrap());
        let index = synced_index(disk.path()).await;
        harm(&index.with_extension(""));
        let successor = open(disk.path(), UNLIMITED, &storage);
        assert_eq!(successor.restore().unwrap(), 0, "{what}");
        assert!(reads(&successor, &manifest, "f", &content).await, "{what}");
    }
}

/// Three versions of 40 blocks each, room for two of them.
struct Tight {
    _disk: TempDir,
    cache: NodeCache,
    versions: Vec<Arc<Manifest>>,
}

async fn tight() -> Tight {
    let storage = storage();
    let mut versions = Vec::new();
    for seed in 0..3 {
        versions.push(version(&storage, &[("f", noise(10 + seed, 40 * BLOCK as usize))]).await);
    }
    let disk = tempfile::tempdir().unwrap();
    let limits = CacheLimits { max_bytes: 100 * BLOCK, min_free: 0, max_pieces: u64::MAX };
    Tight { cache: open(disk.path(), limits, &storage), _disk: disk, versions }
}

/// What the kernel says of a mounted image, besides the blocks of its data files.
fn image_bytes(mounted: &Path, data_blocks: u64) -> u64 {
    (rustix::fs::statvfs(mounted).unwrap().f_blocks - data_blocks) * BLOCK
}

#[tokio::test]
async fn what_nobody_wanted_for_longest_goes_first() {
    let Tight { cache, versions, _disk } = tight().await;
    for at in [0, 1, 0, 2] {
        drop(cache.image(TENANT, &versions[at]).await.unwrap());
    }
    assert!(cache.find_image(TENANT, versions[0].tree_id()).is_some());
    assert!(cache.find_image(TENANT, versions[1].tree_id()).is_none(), "not wanted since");
    assert!(cache.find_image(TENANT, versions[2].tree_id()).is_some());
    assert_eq!(cache.inner.metrics.evicted.get(), 1);
    let data = data_files(_disk.path()).into_iter().filter(|path| path.extension().is_none()).count();
    assert_eq!(data, 2);
    let images: u64 =
        [0, 2].map(|at| image_bytes(cache.find_image(TENANT, versions[at].tree_id()).unwrap().path(), 40)).iter().sum();
    assert_eq!(cache.inner.state.lock().bytes, 80 * BLOCK + images);
}

#[tokio::test]
async fn what_a_job_uses_is_never_evicted() {
    let Tight { cache, versions, _disk } = tight().await;
    let used = cache.image(TENANT, &versions[0]).await.unwrap();
    let loaded = cache.load(TENANT, &versions[1]).await.unwrap();
    let error = cache.load(TENANT, &versions[2]).await.unwrap_err();
    assert!(matches!(error, CacheError::Full { needed, .. } if needed == 40 * BLOCK), "{error}");
    assert!(error.to_string().contains("DRYDOCK_CACHE_MAX_BYTES"));
    assert_eq!(fs_err::read(used.path().join("f")).unwrap(), noise(10, 40 * BLOCK as usize));
    let mut first = [0; 8];
    loaded.data[0].open().unwrap().read_exact_at(&mut first, 0).unwrap();
    assert_eq!(first, noise(11, 8)[..]);
    drop(loaded);
    drop(cache.load(TENANT, &versions[2]).await.unwrap());
    assert_eq!(cache.inner.state.lock().unallocated, 0);
}

#[tokio::test]
async fn a_failed_download_leaves_nothing() {
    let Tight { cache, versions, _disk } = tight().await;
    let key = cache.inner.storage.keys(TENANT).pack(versions[0].packs()[0].id);
    cache.inner.storage.delete(&key).await.unwrap();
    assert!(matches!(cache.load(TENANT, &versions[0]).await, Err(CacheError::Storage(_))));
    assert!(data_files(_disk.path()).is_empty());
    let known = cache.inner.state.lock();
    assert_eq!((known.bytes, known.unallocated, known.pieces), (0, 0, 0));
}

#[tokio::test]
async fn too_little_disk_is_said_before_anything_is_fetched() {
    let storage = storage();
    let manifest = version(&storage, &[("f", noise(20, 5000))]).await;
    let disk = tempfile::tempdir().unwrap();
    let cache =
        open(disk.path(), CacheLimits { max_bytes: u64::MAX, min_free: u64::MAX, max_pieces: u64::MAX }, &storage);
    let error = cache.load(TENANT, &manifest).await.unwrap_err();
    assert!(matches!(error, CacheError::Full { .. }), "{error}");
    assert!(data_files(disk.path()).is_empty());
}

#[tokio::test]
async fn a_second_worker_on_the_directory_is_refused() {
    let storage = storage();
    let disk = tempfile::tempdir().unwrap();
    let _first = open(disk.path(), UNLIMITED, &storage);
    let metrics = CacheMetrics::register(&Registry::new()).unwrap();
    let error = NodeCache::open(disk.path(), UNLIMITED, storage.clone(), metrics).unwrap_err();
    assert!(matches!(error, CacheError::Busy { .. }) && error.to_string().contains("DRYDOCK_CACHE_DIR"));
}

/// As many small pushes leave it: each brought one data file.
#[tokio::test]
async fn contents_scattered_over_many_files_come_together() {
    let storage = storage();
    let files: Vec<(String, Vec<u8>)> = (0..300).map(|at| (format!("f{at}"), noise(at as u8, 5000 + at))).collect();
    let whole: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    let whole = version(&storage, &whole).await;
    let disk = tempfile::tempdir().unwrap();
    let cache = open(disk.path(), UNLIMITED, &storage);
    for (name, content) in &files {
        let one = version(&storage, &[(name.as_str(), content.clone())]).await;
        cache.load(TENANT, &one).await.unwrap();
    }
    let loaded = cache.load(TENANT, &whole).await.unwrap();
    assert!(loaded.data.len() <= 130, "{} data files", loaded.data.len());
    drop(loaded);
    let image = cache.image(TENANT, &whole).await.unwrap();
    assert!(files.iter().all(|(name, content)| fs_err::read(image.path().join(name)).unwrap() == *content));
}
