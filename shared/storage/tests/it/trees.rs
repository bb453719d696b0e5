//! Trees: written, deduplicated, read back; damage in the bucket noticed.

use std::{io, sync::Arc};

use drydock_domain::{Digest, EntryKind, Mode};
use drydock_storage::{
    Limits, Manifest, ManifestCache, Source, StorageError, StorageErrorKind, WriteOptions,
    manifest::Location,
    pack::{CHUNK, SOLID_MAX},
    read_file, write_tree,
};

use crate::support::{Registry, TENANT, add, collect, noise, options, path, read, storage, write};

#[tokio::test]
async fn sizes_around_every_boundary_come_back_whole_and_in_parts() {
    let storage = storage();
    let registry = Registry::default();
    let sizes = [
        0,
        1,
        SOLID_MAX - 1,
        SOLID_MAX,
        SOLID_MAX + 1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        2 * CHUNK + 7,
    ];
    let contents: Vec<Vec<u8>> = sizes
        .iter()
        .enumerate()
        .map(|(at, &size)| noise(at as u64, size))
        .collect();
    let written = {
        let contents = contents.clone();
        let build = move |writer: &mut drydock_storage::TreeWriter| {
            contents
                .iter()
                .enumerate()
                .try_for_each(|(at, content)| add(writer, &format!("f{at:02}"), &content[..]))
        };
        write_tree(&storage, options(None), &registry, build)
            .await
            .unwrap()
            .unwrap()
    };
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    assert_eq!(
        (written.file_count, written.total_bytes),
        (sizes.len() as u64, total)
    );
    let manifest = Manifest::fetch(&storage, TENANT, written.manifest_id, Limits::default())
        .await
        .unwrap();
    assert_eq!(manifest, written.manifest);
    for (at, content) in contents.iter().enumerate() {
        let name = format!("f{at:02}");
        assert!(
            read(&storage, &manifest, &name).await.unwrap() == *content,
            "{name}"
        );
        let len = content.len() as u64;
        let ranges = [
            0..1,
            len.saturating_sub(1)..len,
            len / 2..len / 2 + 10,
            5..5,
            len..len + 9,
            0..u64::MAX,
        ];
        for range in ranges
            .into_iter()
            .chain([CHUNK as u64 - 3..CHUNK as u64 + 3])
        {
            let file = read_file(
                &storage,
                TENANT,
                &manifest,
                &path(&name),
                Some(range.clone()),
            )
            .unwrap();
            assert_eq!((file.size, file.digest), (len, Digest::of(content)));
            let expected = &content[range.start.min(len) as usize..range.end.min(len) as usize];
            assert_eq!(file.range.end - file.range.start, expected.len() as u64);
            assert!(
                collect(file.stream).await.unwrap() == expected,
                "{name} {range:?}"
            );
        }
    }
    assert_eq!(
        read(&storage, &manifest, "none").await.unwrap_err().kind(),
        StorageErrorKind::NotFound
    );
}

#[tokio::test]
async fn packs_are_announced_before_they_exist_and_all_are_listed() {
    let storage = storage();
    let registry = Registry::default();
    // 80 MB that do not compress need three packs.
    let files = vec![
        ("a", noise(1, 40 << 20)),
        ("b", noise(2, 40 << 20)),
        ("c", b"small".to_vec()),
    ];
    let written = write(&storage, None, &registry, files.clone())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(written.packs.len(), 3);
    let mut announced = registry.announced.lock().unwrap().clone();
    announced.sort_by_key(|pack| pack.id);
    let mut listed = written.packs.clone();
    listed.sort_by_key(|pack| pack.id);
    assert_eq!(announced, listed);
    for pack in &written.packs {
        assert!(pack.new && pack.bytes <= 64 << 20);
        let stored = storage
            .get(&storage.keys(TENANT).pack(pack.id), 64 << 20)
            .await
            .unwrap();
        assert_eq!(
            (Digest::of(&stored), stored.len() as u64),
            (pack.id, pack.bytes)
        );
        drydock_storage::pack::PackIndex::read(&stored, "pack").unwrap();
    }
    for (name, content) in files {
        assert!(read(&storage, &written.manifest, name).await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_registry_that_refuses_stops_the_upload() {
    let storage = storage();
    let registry = Registry {
        closed: true,
        ..Registry::default()
    };
    let error = write(&storage, None, &registry, vec![("a", noise(3, 1000))])
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::Register(_)), "{error:?}");
    // The pack is the only one this write could have made; its content decides its key.
    let open = Registry::default();
    let written = write(&storage, None, &open, vec![("a", noise(3, 1000))])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(written.packs.len(), 1);
}

#[tokio::test]
async fn equal_contents_are_stored_once() {
    let storage = storage();
    let registry = Registry::default();
    let big = noise(4, 9 << 20);
    let files = vec![
        ("a", noise(5, 100)),
        ("b", big.clone()),
        ("c", noise(5, 100)),
        ("d", big.clone()),
    ];
    let first = write(&storage, None, &registry, files)
        .await
        .unwrap()
        .unwrap();
    let manifest = &first.manifest;
    let place = |name| manifest.find(&path(name)).unwrap().1.clone();
    assert_eq!(place("a"), place("c"));
    assert_eq!(place("b"), place("d"));
    assert!(
        first.packs[0].bytes < (9 << 20) + 2000,
        "{}",
        first.packs[0].bytes
    );

    // One byte more at the end, one file moved, one new: only the last chunk and the new file are stored.
    let mut longer = big;
    longer.push(1);
    let files = vec![
        ("b", longer.clone()),
        ("moved", noise(5, 100)),
        ("new", noise(6, 50)),
    ];
    let second = write(&storage, Some(manifest), &registry, files)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        second.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(
        second.packs[1].bytes < (1 << 20) + 2000,
        "{}",
        second.packs[1].bytes
    );
    assert!(read(&storage, &second.manifest, "b").await.unwrap() == longer);
    assert_eq!(
        read(&storage, &second.manifest, "moved").await.unwrap(),
        noise(5, 100)
    );

    // What refers to nothing of the old pack does not list it.
    let third = write(
        &storage,
        Some(&second.manifest),
        &registry,
        vec![("new", noise(6, 50))],
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(third.packs.len(), 1);
    assert_eq!(
        (third.packs[0].id, third.packs[0].new),
        (second.packs[1].id, false)
    );
    assert_eq!(third.manifest.blocks().len(), 1);
}

#[tokio::test]
async fn the_same_tree_stores_nothing() {
    let storage = storage();
    let registry = Registry::default();
    let files = || vec![("a", noise(7, 5000)), ("b", noise(8, 5 << 20))];
    let first = write(&storage, None, &registry, files())
        .await
        .unwrap()
        .unwrap();
    let before = registry.announced.lock().unwrap().len();
    assert!(
        write(&storage, Some(&first.manifest), &registry, files())
            .await
            .unwrap()
            .is_none()
    );
    let reuse =
        |writer: &mut drydock_storage::TreeWriter| (0..2).try_for_each(|index| writer.reuse(index));
    assert!(
        write_tree(&storage, options(Some(&first.manifest)), &registry, reuse)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        write(&storage, None, &registry, vec![])
            .await
            .unwrap()
            .is_none(),
        "an empty tree without a base"
    );
    assert_eq!(registry.announced.lock().unwrap().len(), before);
    // Emptying a tree is a change.
    let emptied = write(&storage, Some(&first.manifest), &registry, vec![])
        .await
        .unwrap()
        .unwrap();
    assert_eq!((emptied.packs.len(), emptied.file_count), (0, 0));
    // Two writers of the same tree make the same objects.
    let again = write(&storage, None, &registry, files())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.manifest_id, first.manifest_id);
}

/// Changes its answer while it is read, a number of times.
struct Unsteady {
    unsteady: usize,
    opened: usize,
    size: usize,
}

impl Source for Unsteady {
    fn open(&mut self) -> io::Result<impl io::Read> {
        self.opened += 1;
        Ok(io::Cursor::new(noise(self.opened as u64, self.size)))
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(self.opened > self.unsteady)
    }
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_then_refused() {
    let storage = storage();
    for size in [100, CHUNK + 100] {
        for (unsteady, fine) in [(0, true), (2, true), (3, false)] {
            let build = move |writer: &mut drydock_storage::TreeWriter| {
                writer.add_file(
                    path("f"),
                    Mode::new(0o644),
                    &mut Unsteady {
                        unsteady,
                        opened: 0,
                        size,
                    },
                )
            };
            let result = write_tree(&storage, options(None), &Registry::default(), build).await;
            if fine {
                let written = result.unwrap().unwrap();
                let content = noise(unsteady as u64 + 1, size);
                assert!(
                    read(&storage, &written.manifest, "f").await.unwrap() == content,
                    "the last reading counts"
                );
            } else {
                assert_eq!(result.unwrap_err().kind(), StorageErrorKind::Unstable);
            }
        }
    }
}

#[tokio::test]
async fn limits_stop_a_write() {
    let storage = storage();
    let limited = |entries, bytes| WriteOptions {
        limits: Limits::new(entries, bytes),
        ..options(None)
    };
    let build = |writer: &mut drydock_storage::TreeWriter| {
        add(writer, "a", &b"12345"[..])?;
        add(writer, "b", &b"12345"[..])
    };
    for (limits, fine) in [((2, 10), true), ((1, 10), false), ((2, 9), false)] {
        let result = write_tree(
            &storage,
            limited(limits.0, limits.1),
            &Registry::default(),
            build,
        )
        .await;
        match result {
            Ok(_) => assert!(fine),
            Err(error) => assert!(
                !fine && error.kind() == StorageErrorKind::TooLarge,
                "{error:?}"
            ),
        }
    }
    let endless = |writer: &mut drydock_storage::TreeWriter| add(writer, "zero", io::repeat(0));
    let result = write_tree(
        &storage,
        limited(10, 50 << 20),
        &Registry::default(),
        endless,
    )
    .await;
    assert_eq!(result.unwrap_err().kind(), StorageErrorKind::TooLarge);
}

#[tokio::test]
async fn protocol_files_are_left_out() {
    let storage = storage();
    let build = |writer: &mut drydock_storage::TreeWriter| {
        writer.add_dir(path(".codex"), Mode::new(0o755))?;
        add(writer, ".codex/request.json", &b"{}"[..])?;
        add(writer, ".codex/result.json", &b"{}"[..])?;
        add(writer, "kept", &b"kept"[..])
    };
    let written = write_tree(&storage, options(None), &Registry::default(), build)
        .await
        .unwrap()
        .unwrap();
    let paths: Vec<_> = written
        .manifest
        .iter()
        .map(|(entry, _)| entry.path.to_string())
        .collect();
    assert_eq!(paths, ["kept"]);
    assert_eq!(
        read(&storage, &written.manifest, "kept").await.unwrap(),
        b"kept"
    );
}

/// Somebody damages, cuts or removes the pack behind our back.
#[tokio::test]
async fn damage_in_the_bucket_is_an_error_never_wrong_bytes() {
    let storage = storage();
    let files = vec![
        ("big", noise(9, CHUNK + 10)),
        ("small", noise(10, 1000)),
        ("text", vec![b'a'; 5000]),
    ];
    let written = write(&storage, None, &Registry::default(), files)
        .await
        .unwrap()
        .unwrap();
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
            assert_eq!(
                error.kind(),
                StorageErrorKind::Corrupt,
                "{name} cut: {error}"
            );
        }
    }
    storage.delete(&pack).await.unwrap();
    assert_eq!(
        read(&storage, manifest, "small").await.unwrap_err().kind(),
        StorageErrorKind::NotFound
    );
}

/// A block that is intact but not the file's: only the hash of the whole can tell.
#[tokio::test]
async fn a_whole_read_verifies_the_content_hash() {
    let storage = storage();
    let registry = Registry::default();
    let one = write(&storage, None, &registry, vec![("f", noise(11, 100))])
        .await
        .unwrap()
        .unwrap();
    let other = write(&storage, None, &registry, vec![("f", noise(12, 100))])
        .await
        .unwrap()
        .unwrap();
    // Same lengths, so only ids and checksums differ; those of the block are made to fit by swapping manifests' packs.
    let stored = storage
        .get(&storage.keys(TENANT).manifest(one.manifest_id), 1 << 20)
        .await
        .unwrap();
    let body = zstd::stream::decode_all(&stored[20..]).unwrap();
    let swap = |body: Vec<u8>, from: &[u8], to: &[u8]| {
        let at = body
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        [&body[..at], to, &body[at + from.len()..]].concat()
    };
    let body = swap(
        body,
        one.packs[0].id.as_bytes(),
        other.packs[0].id.as_bytes(),
    );
    let crc = |manifest: &Manifest| manifest.blocks()[0].info.crc32c.to_le_bytes();
    let body = swap(body, &crc(&one.manifest), &crc(&other.manifest));
    let mut forged = stored[..12].to_vec();
    forged.extend((body.len() as u64).to_le_bytes());
    forged.extend(zstd::stream::encode_all(&body[..], 3).unwrap());
    let forged =
        Arc::new(Manifest::decode(Digest::of(&forged), &forged, &Limits::default()).unwrap());
    let error = read(&storage, &forged, "f").await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn the_cache_is_bounded_and_fetches_once() {
    let storage = storage();
    let registry = Registry::default();
    let mut manifests = Vec::new();
    for seed in 0..3 {
        let written = write(
            &storage,
            None,
            &registry,
            vec![("f", noise(100 + seed, 10))],
        )
        .await
        .unwrap()
        .unwrap();
        manifests.push(written.manifest);
    }
    let cache = ManifestCache::new(manifests[0].memory() * 2, Limits::default());
    let get = async |at: usize| cache.get(&storage, TENANT, manifests[at].id()).await;
    let (a, b) = tokio::join!(get(0), get(0));
    assert!(
        Arc::ptr_eq(&a.unwrap(), &b.unwrap()),
        "two readers share one"
    );
    get(1).await.unwrap();
    get(2).await.unwrap();
    assert!(cache.memory() <= manifests[0].memory() * 2);
    // The first was used longest ago: gone from the cache, it has to be fetched, and is not there to be.
    storage
        .delete(&storage.keys(TENANT).manifest(manifests[0].id()))
        .await
        .unwrap();
    storage
        .delete(&storage.keys(TENANT).manifest(manifests[2].id()))
        .await
        .unwrap();
    assert_eq!(get(0).await.unwrap_err().kind(), StorageErrorKind::NotFound);
    assert_eq!(*get(2).await.unwrap(), *manifests[2]);
    // A failure is not remembered.
    assert_eq!(get(0).await.unwrap_err().kind(), StorageErrorKind::NotFound);
    assert!(
        matches!(manifests[0].find(&path("f")).unwrap(), (entry, Location::Slice { .. })
        if matches!(entry.kind, EntryKind::File { size: 10, .. }))
    );
}
