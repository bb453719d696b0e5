//! Versions written as changes: small ones inside a delta, bigger ones beside it, big ones as a manifest of their own.

use std::sync::Arc;

use drydock_domain::{LinkTarget, Mode};
use drydock_storage::{
    ChangeOptions, ChangeWriter, Delta, Format, Limits, Manifest, ManifestCache, Once, Storage, StorageErrorKind,
    StoredTree, WrittenChanges, export, pack::SOLID_MAX, write_changes, write_tree,
};

use crate::support::{
    Registry, TENANT, add, change, change_options, collect, noise, options, path, put, read, requests, storage,
    storage_counted, stored, write,
};

async fn changed(
    storage: &Storage,
    base: &Arc<Manifest>,
    inline_max: usize,
    build: impl FnOnce(&mut ChangeWriter) -> Result<(), drydock_storage::StorageError> + Send + 'static,
) -> WrittenChanges {
    let written = change(storage, base, inline_max, &Registry::default(), build).await.unwrap();
    written.expect("it differs from its base")
}

#[tokio::test]
async fn a_small_change_asks_nothing_of_the_bucket() {
    let (storage, metrics) = storage_counted();
    let first = stored(&storage, None, vec![("a", noise(20, 100)), ("b", noise(21, 5 << 20))]).await;
    let before = requests(&metrics);
    let second = changed(&storage, &first.manifest, Delta::INLINE_MAX, |writer| {
        put(writer, "a", b"changed")?;
        put(writer, "new", &noise(22, 1000))
    })
    .await;
    let third = changed(&storage, &second.manifest().unwrap(), Delta::INLINE_MAX, |writer| {
        put(writer, "new", &noise(23, 1000))?;
        writer.remove(path("a"));
        Ok(())
    })
    .await;
    assert_eq!(requests(&metrics), before, "no request");
    assert_eq!(third.stored.manifest, first.manifest_id);
    assert_eq!((&third.changes.modified[..], &third.changes.deleted[..]), (&[path("new")][..], &[path("a")][..]));
    assert_eq!(third.packs.len(), 1, "the inline pack is no object");
    assert_eq!((third.file_count, third.total_bytes), (2, (5 << 20) + 1000));
    // The content that was replaced is gone from the delta.
    assert!(third.stored.delta.as_ref().unwrap().len() < 1500, "{:?}", third.stored);

    let cache = ManifestCache::new(64 << 20, Limits::default());
    for (written, new) in [(&second, noise(22, 1000)), (&third, noise(23, 1000))] {
        let manifest = cache.get(&storage, TENANT, written.stored.clone()).await.unwrap();
        assert_eq!(manifest, written.manifest().unwrap());
        assert_eq!(manifest.tree_id(), written.tree_id);
        assert_eq!(manifest.stored(), written.stored);
        assert!(read(&storage, &manifest, "new").await.unwrap() == new, "two deltas of one base do not mix");
        assert!(read(&storage, &manifest, "b").await.unwrap() == noise(21, 5 << 20));
        assert!(
            !collect(export(&storage, TENANT, Some(manifest), Format::Tar, Box::new(|_| true)))
                .await
                .unwrap()
                .is_empty()
        );
    }
    let second = cache.get(&storage, TENANT, second.stored).await.unwrap();
    assert_eq!(read(&storage, &second, "a").await.unwrap(), b"changed");
}

#[tokio::test]
async fn what_leads_back_to_the_base_stores_nothing() {
    let (storage, metrics) = storage_counted();
    let build = |writer: &mut drydock_storage::TreeWriter| {
        writer.add_dir(path("d"), Mode::new(0o755))?;
        add(writer, "d/f", &b"content"[..])
    };
    let first = write_tree(&storage, options(None), &Registry::default(), build).await.unwrap().unwrap();
    let moved = changed(&storage, &first.manifest, Delta::INLINE_MAX, |writer| put(writer, "e", b"e")).await;
    for base in [first.manifest, moved.manifest().unwrap()] {
        let before = requests(&metrics);
        let touch = |writer: &mut ChangeWriter| {
            put(writer, "d/f", b"content")?;
            writer.put_dir(path("d"), Mode::new(0o700))?;
            writer.put_dir(path("d"), Mode::new(0o755))?;
            put(writer, "gone", b"made and removed")?;
            writer.remove(path("gone"));
            writer.remove(path("never"));
            writer.remove(path("d"));
            writer.put_dir(path("d"), Mode::new(0o755))?;
            put(writer, "d/f", b"content")?;
            put(writer, ".codex/request.json", b"{}")
        };
        let touched = change(&storage, &base, Delta::INLINE_MAX, &Registry::default(), touch).await;
        assert!(touched.unwrap().is_none());
        assert_eq!(requests(&metrics), before);
    }
    // Back to the tree of the manifest itself: a version, but without a delta.
    let moved = moved.manifest().unwrap();
    let back = changed(&storage, &moved, Delta::INLINE_MAX, |writer| {
        writer.remove(path("e"));
        Ok(())
    })
    .await;
    assert_eq!(back.stored, StoredTree::from(first.manifest_id));
    assert_eq!(back.changes.deleted, [path("e")]);
}

#[tokio::test]
async fn contents_too_long_for_a_delta_become_a_pack_with_those_that_were_inside() {
    let storage = storage();
    let first = stored(&storage, None, vec![("a", noise(30, 100))]).await;
    let inside = changed(&storage, &first.manifest, Delta::INLINE_MAX, |writer| {
        put(writer, "small", &noise(31, 30 << 10))?;
        put(writer, "dead", &noise(32, 10))
    })
    .await;
    assert_eq!(inside.packs.iter().filter(|pack| pack.new).count(), 0);
    let registry = Registry::default();
    let big = |writer: &mut ChangeWriter| {
        writer.remove(path("dead"));
        put(writer, "more", &noise(33, 40 << 10))
    };
    let outside = change(&storage, &inside.manifest().unwrap(), Delta::INLINE_MAX, &registry, big).await;
    let outside = outside.unwrap().unwrap();
    assert_eq!(outside.stored.manifest, first.manifest_id, "still a delta");
    assert!(outside.stored.delta.as_ref().unwrap().len() < 1000);
    assert_eq!(*registry.announced.lock().unwrap(), [outside.packs[1]], "announced and listed");
    assert!(outside.packs[1].new && !outside.packs[0].new && outside.packs.len() == 2);
    let pack = storage.get(&storage.keys(TENANT).pack(outside.packs[1].id), 1 << 20).await.unwrap();
    let index = drydock_storage::pack::PackIndex::read(&pack, "pack").unwrap();
    assert_eq!(index.entries.len(), 2, "what is needed of both, and no more: {index:?}");
    let manifest = ManifestCache::new(0, Limits::default()).get(&storage, TENANT, outside.stored).await.unwrap();
    assert!(read(&storage, &manifest, "small").await.unwrap() == noise(31, 30 << 10));
    assert!(read(&storage, &manifest, "more").await.unwrap() == noise(33, 40 << 10));

    // Next, a small one beside it; then all of it as a full tree: what lay inside the delta has to be stored.
    let next = changed(&storage, &manifest, Delta::INLINE_MAX, |writer| put(writer, "next", b"next")).await;
    assert_eq!(next.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [false, false]);
    let base = next.manifest().unwrap();
    let whole = write_tree(&storage, options(Some(&base)), &registry, |writer| {
        (0..4).try_for_each(|index| writer.reuse(index))?;
        add(writer, "z", &b"z"[..])
    });
    let whole = whole.await.unwrap().unwrap();
    assert!(whole.manifest.packs().iter().all(|pack| !pack.inline));
    assert_eq!(whole.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [false, false, true]);
    let whole = Manifest::fetch(&storage, TENANT, whole.manifest_id, Limits::default()).await.unwrap();
    assert_eq!(read(&storage, &whole, "next").await.unwrap(), b"next");
}

#[tokio::test]
async fn without_inline_contents_go_to_the_bucket() {
    let storage = storage();
    let first = stored(&storage, None, vec![("a", noise(40, 100))]).await;
    let one = changed(&storage, &first.manifest, 0, |writer| put(writer, "b", b"b")).await;
    assert_eq!(one.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [false, true]);
    let chmod = changed(&storage, &one.manifest().unwrap(), 0, |writer| {
        writer.put_symlink(path("l"), LinkTarget::new("b").unwrap())?;
        put(writer, "again", b"b")
    })
    .await;
    assert_eq!(chmod.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [false, false], "nothing new to store");
    let manifest = chmod.manifest().unwrap();
    assert_eq!(read(&storage, &manifest, "again").await.unwrap(), b"b");
    // What the base holds is found, though this version has it no more.
    let removed = changed(&storage, &manifest, 0, |writer| {
        writer.remove(path("a"));
        Ok(())
    });
    let removed = removed.await.manifest().unwrap();
    let back = changed(&storage, &removed, 0, |writer| put(writer, "c", &noise(40, 100))).await;
    assert!(back.packs.iter().all(|pack| !pack.new));
}

#[tokio::test]
async fn a_delta_too_long_becomes_a_manifest() {
    let storage = storage();
    let first = stored(&storage, None, vec![("a", noise(50, 100)), ("b", noise(51, 100))]).await;
    let second = changed(&storage, &first.manifest, Delta::INLINE_MAX, |writer| put(writer, "kept", b"kept")).await;
    let many = |writer: &mut ChangeWriter| {
        writer.remove(path("a"));
        writer.remove(path("b"));
        (0..2500_u64).try_for_each(|at| put(writer, &format!("f{at:04}"), &at.to_le_bytes()))
    };
    let third = changed(&storage, &second.manifest().unwrap(), Delta::INLINE_MAX, many).await;
    assert_ne!(third.stored.manifest, first.manifest_id);
    assert_eq!(third.stored.delta, None);
    assert_eq!(third.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [true], "packs not needed are not listed");
    let manifest = Manifest::fetch(&storage, TENANT, third.stored.manifest, Limits::default()).await.unwrap();
    assert_eq!(manifest, third.manifest().unwrap());
    assert_eq!(third.file_count, 2501);
    assert_eq!(read(&storage, &manifest, "kept").await.unwrap(), b"kept");
    assert_eq!(read(&storage, &manifest, "f0007").await.unwrap(), 7_u64.to_le_bytes());
    // And the next change is a delta of that.
    let fourth = changed(&storage, &manifest, Delta::INLINE_MAX, |writer| put(writer, "kept", b"new")).await;
    assert_eq!(fourth.stored.manifest, third.stored.manifest);
}

#[tokio::test]
async fn big_files_in_changes_are_chunks() {
    let storage = storage();
    let big = noise(60, 9 << 20);
    let first = stored(&storage, None, vec![("a", noise(61, 100)), ("big", big.clone())]).await;
    let longer = [&big[..], &[1]].concat();
    let given = longer.clone();
    let second = changed(&storage, &first.manifest, Delta::INLINE_MAX, move |writer| put(writer, "big", &given)).await;
    assert!(second.packs[1].bytes < (1 << 20) + 2000, "only the last chunk: {:?}", second.packs);
    let manifest = second.manifest().unwrap();
    assert!(read(&storage, &manifest, "big").await.unwrap() == longer);
    // A big file that compresses well enough lies in the delta as chunks, and moves out of it.
    let zeros = vec![0; SOLID_MAX + 1];
    let given = zeros.clone();
    let third = changed(&storage, &manifest, Delta::INLINE_MAX, move |writer| put(writer, "zeros", &given)).await;
    assert!(third.packs.iter().all(|pack| !pack.new));
    let third = third.manifest().unwrap();
    let fourth = changed(&storage, &third, Delta::INLINE_MAX, |writer| put(writer, "out", &noise(62, 70 << 10))).await;
    for manifest in [third, fourth.manifest().unwrap()] {
        assert!(read(&storage, &manifest, "zeros").await.unwrap() == zeros);
    }
}

#[tokio::test]
async fn limits_stop_changes() {
    let storage = storage();
    let first = stored(&storage, None, vec![("a", noise(70, 10)), ("b", noise(71, 10))]).await;
    for (limits, kind) in [
        (Limits::new(3, 30), None),
        (Limits::new(2, 30), Some(StorageErrorKind::TooLarge)),
        (Limits::new(3, 29), Some(StorageErrorKind::TooLarge)),
    ] {
        let options = ChangeOptions { limits, ..change_options(&first.manifest, Delta::INLINE_MAX) };
        let third = |writer: &mut ChangeWriter| put(writer, "c", &noise(72, 10));
        let result = write_changes(&storage, options, &Registry::default(), third).await;
        assert_eq!(result.err().map(|error| error.kind()), kind);
    }
    let options = ChangeOptions { limits: Limits::new(9, 5 << 20), ..change_options(&first.manifest, 0) };
    let endless =
        |writer: &mut ChangeWriter| writer.put_file(path("zero"), Mode::new(0o644), &mut Once(std::io::repeat(0)));
    let result = write_changes(&storage, options, &Registry::default(), endless).await;
    assert_eq!(result.unwrap_err().kind(), StorageErrorKind::TooLarge);
    let orphan = change(&storage, &first.manifest, 0, &Registry::default(), |writer| put(writer, "a/b", b"x")).await;
    assert_eq!(orphan.unwrap_err().kind(), StorageErrorKind::InvalidInput);
    let refused = Registry { closed: true, ..Registry::default() };
    let refused = change(&storage, &first.manifest, 0, &refused, |writer| put(writer, "c", b"x")).await;
    assert!(matches!(refused.unwrap_err(), drydock_storage::StorageError::Register(_)));
}

/// A delta says which manifest it belongs to, and nothing else will do.
#[tokio::test]
async fn a_delta_fits_its_own_base_only() {
    let storage = storage();
    let registry = Registry::default();
    let one = write(&storage, None, &registry, vec![("a", noise(80, 10))]).await.unwrap().unwrap();
    let other = write(&storage, None, &registry, vec![("a", noise(81, 10))]).await.unwrap().unwrap();
    let delta = changed(&storage, &one.manifest, Delta::INLINE_MAX, |writer| put(writer, "b", b"b")).await.stored;
    let cache = ManifestCache::new(1 << 20, Limits::default());
    let mixed = StoredTree { manifest: other.manifest_id, ..delta.clone() };
    assert_eq!(cache.get(&storage, TENANT, mixed).await.unwrap_err().kind(), StorageErrorKind::Corrupt);
    cache.get(&storage, TENANT, delta).await.unwrap();
}

/// A version with this many small packs, each with a file of its own that does not fit into a delta.
async fn many_packs(storage: &Storage, count: usize) -> Arc<Manifest> {
    let mut base = stored(storage, None, vec![("first", noise(1, 100_000))]).await.manifest;
    for at in 1..count {
        let written = changed(storage, &base, Delta::INLINE_MAX, move |writer| {
            put(writer, &format!("file {at}"), &noise(at as u64, 70_000))
        });
        base = written.await.manifest().unwrap();
    }
    assert_eq!(base.packs().len(), count);
    base
}

#[tokio::test]
async fn many_small_packs_are_written_together_with_the_next_change() {
    let storage = storage();
    let base = many_packs(&storage, 65).await;
    let registry = Registry::default();
    let next = change(&storage, &base, Delta::INLINE_MAX, &registry, |writer| {
        writer.remove(path("file 7"));
        put(writer, "small", b"a few bytes")
    });
    let next = next.await.unwrap().unwrap();
    assert_eq!((next.packs.len(), next.packs[0].new, next.stored.delta.is_some()), (1, true, false));
    let manifest = ManifestCache::new(64 << 20, Limits::default()).get(&storage, TENANT, next.stored).await.unwrap();
    assert!(read(&storage, &manifest, "first").await.unwrap() == noise(1, 100_000));
    for at in (1..65).filter(|at| *at != 7) {
        assert!(read(&storage, &manifest, &format!("file {at}")).await.unwrap() == noise(at, 70_000), "{at}");
    }
    assert_eq!(read(&storage, &manifest, "small").await.unwrap(), b"a few bytes");
    assert_eq!(manifest.tree_id(), next.tree_id);
    // The removed one is not carried on.
    let bytes: u64 = manifest.packs().iter().map(|pack| pack.bytes).sum();
    assert!((63 * 70_000..64 * 70_000 + 100_000).contains(&bytes), "{bytes}");
    // And none too many is left as it is.
    let after = changed(&storage, &manifest, Delta::INLINE_MAX, |writer| put(writer, "small", b"others")).await;
    assert!(after.stored.delta.is_some());
}

#[tokio::test]
async fn a_small_pack_that_cannot_be_read_does_not_fail_a_push() {
    let storage = storage();
    let base = many_packs(&storage, 65).await;
    storage.delete(&storage.keys(TENANT).pack(base.packs()[3].id)).await.unwrap();
    let next = changed(&storage, &base, Delta::INLINE_MAX, |writer| put(writer, "small", b"a few bytes")).await;
    assert_eq!((next.packs.len(), next.stored.delta.is_some()), (65, true));
}
