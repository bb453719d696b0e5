//! Reading: damage in the bucket is noticed, and decoded manifests are kept within bounds.

use std::sync::Arc;

use drydock_domain::{Digest, EntryKind};
use drydock_storage::{
    Limits, Manifest, ManifestCache, Storage, StorageErrorKind, manifest::Location, pack::CHUNK, read_file,
};

use crate::support::{Registry, TENANT, collect, noise, path, read, storage, stored, write};

/// Somebody damages, cuts or removes the pack behind our back.
#[tokio::test]
async fn damage_in_the_bucket_is_an_error_never_wrong_bytes() {
    let storage = storage();
    let files = vec![("big", noise(9, CHUNK + 10)), ("small", noise(10, 1000)), ("text", vec![b'a'; 5000])];
    let written = write(&storage, None, &Registry::default(), files).await.unwrap().unwrap();
    let pack = storage.keys(TENANT).pack(written.packs[0].id);
    let good = storage.get(&pack, 64 << 20).await.unwrap();
    let manifest = &written.manifest;
    let replace = async |bytes: Vec<u8>| {
        storage.delete(&pack).await.unwrap();
        storage.put(&pack, bytes.into()).await.unwrap();
    };
    for name in ["big", "small", "text"] {
        let (_, location) = manifest.find(&path(name)).unwrap();
        for &block in location.blocks() {
            let info = manifest.blocks()[block as usize].info;
            let mut damaged = good.to_vec();
            damaged[(info.offset + info.stored_len / 2) as usize] ^= 1;
            replace(damaged).await;
            let error = read(&storage, manifest, name).await.unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::Corrupt, "{name}: {error}");
            replace(good[..(info.offset + info.stored_len - 1) as usize].to_vec()).await;
            let error = read(&storage, manifest, name).await.unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::Corrupt, "{name} cut: {error}");
        }
    }
    storage.delete(&pack).await.unwrap();
    assert_eq!(read(&storage, manifest, "small").await.unwrap_err().kind(), StorageErrorKind::NotFound);
}

/// The manifest of one version made to point at another's pack, of the same shape: every checksum of the block fits,
/// only the hashes of the content can tell.
async fn forged(storage: &Storage, len: usize) -> Arc<Manifest> {
    let one = stored(storage, None, vec![("f", noise(11, len))]).await;
    let other = stored(storage, None, vec![("f", noise(12, len))]).await;
    let key = storage.keys(TENANT).manifest(one.manifest_id);
    let object = storage.get(&key, 1 << 20).await.unwrap();
    let body = zstd::stream::decode_all(&object[20..]).unwrap();
    let swap = |body: Vec<u8>, from: &[u8], to: &[u8]| {
        let at = body.windows(from.len()).position(|window| window == from).unwrap();
        [&body[..at], to, &body[at + from.len()..]].concat()
    };
    let crc = |manifest: &Manifest| manifest.blocks()[0].info.crc32c.to_le_bytes();
    let body = swap(body, one.packs[0].id.as_bytes(), other.packs[0].id.as_bytes());
    let body = swap(body, &crc(&one.manifest), &crc(&other.manifest));
    let mut forged = object[..12].to_vec();
    forged.extend((body.len() as u64).to_le_bytes());
    forged.extend(zstd::stream::encode_all(&body[..], 3).unwrap());
    Arc::new(Manifest::decode(Digest::of(&forged), &forged, &Limits::default()).unwrap())
}

#[tokio::test]
async fn contents_are_verified_by_their_hashes() {
    let storage = storage();
    let small = forged(&storage, 100).await;
    assert_eq!(read(&storage, &small, "f").await.unwrap_err().kind(), StorageErrorKind::Corrupt);
    // A chunk has a hash of its own, so even a part of it is verified.
    let chunk = forged(&storage, 300 << 10).await;
    let part = read_file(&storage, TENANT, &chunk, &path("f"), Some(5..10)).unwrap();
    assert_eq!(collect(part.stream).await.unwrap_err().kind(), StorageErrorKind::Corrupt);
}

#[tokio::test]
async fn the_cache_is_bounded_and_fetches_once() {
    let storage = storage();
    let registry = Registry::default();
    let mut manifests = Vec::new();
    for seed in 0..3 {
        let written = write(&storage, None, &registry, vec![("f", noise(100 + seed, 10))]).await.unwrap().unwrap();
        manifests.push(written.manifest);
    }
    let cache = ManifestCache::new(manifests[0].memory() * 2, Limits::default());
    let get = async |at: usize| cache.get(&storage, TENANT, manifests[at].id()).await;
    let (a, b) = tokio::join!(get(0), get(0));
    assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()), "two readers share one");
    get(1).await.unwrap();
    get(2).await.unwrap();
    assert!(cache.memory() <= manifests[0].memory() * 2);
    // The first was used longest ago: gone from the cache, it has to be fetched, and is not there to be.
    storage.delete(&storage.keys(TENANT).manifest(manifests[0].id())).await.unwrap();
    storage.delete(&storage.keys(TENANT).manifest(manifests[2].id())).await.unwrap();
    assert_eq!(get(0).await.unwrap_err().kind(), StorageErrorKind::NotFound);
    assert_eq!(*get(2).await.unwrap(), *manifests[2]);
    // A failure is not remembered.
    assert_eq!(get(0).await.unwrap_err().kind(), StorageErrorKind::NotFound);
    assert!(matches!(manifests[0].find(&path("f")).unwrap(), (entry, Location::Slice { .. })
        if matches!(entry.kind, EntryKind::File { size: 10, .. })));
}
