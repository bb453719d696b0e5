//! Trees: written, deduplicated, read back; damage in the bucket noticed.

use std::{io, sync::Arc};

use drydock_domain::{Digest, Mode};
use drydock_storage::{
    Limits, Manifest, Source, Storage, StorageError, StorageErrorKind, TreeWriter, WriteOptions,
    pack::{CHUNK, PackIndex, SOLID_MAX},
    read_file, write_tree,
};

use crate::support::{Registry, TENANT, add, collect, noise, options, path, read, storage, stored, write};

#[tokio::test]
async fn sizes_around_every_boundary_come_back_whole_and_in_parts() {
    let storage = storage();
    let sizes = [0, 1, SOLID_MAX - 1, SOLID_MAX, SOLID_MAX + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7];
    let contents: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(at, &size)| noise(at as u64, size)).collect();
    let given = contents.clone();
    let build = move |writer: &mut TreeWriter| {
        given.iter().enumerate().try_for_each(|(at, content)| add(writer, &format!("f{at:02}"), &content[..]))
    };
    let written = write_tree(&storage, options(None), &Registry::default(), build).await.unwrap().unwrap();
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    assert_eq!((written.file_count, written.total_bytes), (sizes.len() as u64, total));
    let manifest = Manifest::fetch(&storage, TENANT, written.manifest_id, Limits::default()).await.unwrap();
    assert_eq!(manifest, written.manifest);
    for (at, content) in contents.iter().enumerate() {
        let name = format!("f{at:02}");
        assert!(read(&storage, &manifest, &name).await.unwrap() == *content, "{name}");
        every_range(&storage, &manifest, &name, content).await;
    }
    assert_eq!(read(&storage, &manifest, "none").await.unwrap_err().kind(), StorageErrorKind::NotFound);
}

async fn every_range(storage: &Storage, manifest: &Arc<Manifest>, name: &str, content: &[u8]) {
    let len = content.len() as u64;
    let edge = CHUNK as u64;
    let last = len.saturating_sub(1)..len;
    for range in [0..1, last, len / 2..len / 2 + 10, 5..5, len..len + 9, 0..u64::MAX, edge - 3..edge + 3] {
        let file = read_file(storage, TENANT, manifest, &path(name), Some(range.clone())).unwrap();
        assert_eq!((file.size, file.digest), (len, Digest::of(content)));
        let expected = &content[range.start.min(len) as usize..range.end.min(len) as usize];
        assert_eq!(file.range.end - file.range.start, expected.len() as u64);
        assert!(collect(file.stream).await.unwrap() == expected, "{name} {range:?}");
    }
}

#[tokio::test]
async fn packs_are_announced_before_they_exist_and_all_are_listed() {
    let storage = storage();
    let registry = Registry::default();
    // 80 MB that do not compress need three packs.
    let files = vec![("a", noise(1, 40 << 20)), ("b", noise(2, 40 << 20)), ("c", b"small".to_vec())];
    let written = write(&storage, None, &registry, files.clone()).await.unwrap().unwrap();
    assert_eq!(written.packs.len(), 3);
    let mut announced = registry.announced.lock().unwrap().clone();
    announced.sort_by_key(|pack| pack.id);
    let mut listed = written.packs.clone();
    listed.sort_by_key(|pack| pack.id);
    assert_eq!(announced, listed);
    for pack in &written.packs {
        assert!(pack.new && pack.bytes <= 64 << 20);
        let stored = storage.get(&storage.keys(TENANT).pack(pack.id), 64 << 20).await.unwrap();
        assert_eq!((Digest::of(&stored), stored.len() as u64), (pack.id, pack.bytes));
        PackIndex::read(&stored, "pack").unwrap();
    }
    for (name, content) in files {
        assert!(read(&storage, &written.manifest, name).await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_registry_that_refuses_stops_the_upload() {
    let storage = storage();
    let registry = Registry { closed: true, ..Registry::default() };
    let error = write(&storage, None, &registry, vec![("a", noise(3, 1000))]).await.unwrap_err();
    assert!(matches!(error, StorageError::Register(_)), "{error:?}");
    // The pack is the only one this write could have made; its content decides its key.
    let open = Registry::default();
    let written = write(&storage, None, &open, vec![("a", noise(3, 1000))]).await.unwrap().unwrap();
    assert_eq!(written.packs.len(), 1);
}

#[tokio::test]
async fn equal_contents_are_stored_once() {
    let storage = storage();
    let big = noise(4, 9 << 20);
    let files = vec![("a", noise(5, 100)), ("b", big.clone()), ("c", noise(5, 100)), ("d", big.clone())];
    let first = stored(&storage, None, files).await;
    let place = |name| first.manifest.find(&path(name)).unwrap().1.clone();
    assert_eq!(place("a"), place("c"));
    assert_eq!(place("b"), place("d"));
    assert!(first.packs[0].bytes < (9 << 20) + 2000, "{:?}", first.packs);
}

#[tokio::test]
async fn what_the_base_has_is_not_stored_again() {
    let storage = storage();
    let big = noise(4, 9 << 20);
    let first = stored(&storage, None, vec![("a", noise(5, 100)), ("b", big.clone())]).await;

    // One byte more at the end, one file moved, one new: only the last chunk and the new file are stored.
    let longer = [&big[..], &[1]].concat();
    let files = vec![("b", longer.clone()), ("moved", noise(5, 100)), ("new", noise(6, 50))];
    let second = stored(&storage, Some(&first.manifest), files).await;
    assert_eq!(second.packs.iter().map(|pack| pack.new).collect::<Vec<_>>(), [false, true]);
    assert!(second.packs[1].bytes < (1 << 20) + 2000, "{:?}", second.packs);
    assert!(read(&storage, &second.manifest, "b").await.unwrap() == longer);
    assert_eq!(read(&storage, &second.manifest, "moved").await.unwrap(), noise(5, 100));

    // What refers to nothing of the old pack does not list it.
    let third = stored(&storage, Some(&second.manifest), vec![("new", noise(6, 50))]).await;
    assert_eq!(third.packs.len(), 1);
    assert_eq!((third.packs[0].id, third.packs[0].new), (second.packs[1].id, false));
    assert_eq!(third.manifest.blocks().len(), 1);
}

#[tokio::test]
async fn the_same_tree_stores_nothing() {
    let storage = storage();
    let registry = Registry::default();
    let files = || vec![("a", noise(7, 5000)), ("b", noise(8, 5 << 20))];
    let first = write(&storage, None, &registry, files()).await.unwrap().unwrap();
    let before = registry.announced.lock().unwrap().len();
    assert!(write(&storage, Some(&first.manifest), &registry, files()).await.unwrap().is_none());
    let reuse = |writer: &mut TreeWriter| (0..2).try_for_each(|index| writer.reuse(index));
    assert!(write_tree(&storage, options(Some(&first.manifest)), &registry, reuse).await.unwrap().is_none());
    assert!(write(&storage, None, &registry, vec![]).await.unwrap().is_none(), "an empty tree without a base");
    assert_eq!(registry.announced.lock().unwrap().len(), before);
    // Emptying a tree is a change.
    let emptied = write(&storage, Some(&first.manifest), &registry, vec![]).await.unwrap().unwrap();
    assert_eq!((emptied.packs.len(), emptied.file_count), (0, 0));
    // Two writers of the same tree make the same objects.
    let again = write(&storage, None, &registry, files()).await.unwrap().unwrap();
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
            let build = move |writer: &mut TreeWriter| {
                writer.add_file(path("f"), Mode::new(0o644), &mut Unsteady { unsteady, opened: 0, size })
            };
            let result = write_tree(&storage, options(None), &Registry::default(), build).await;
            if fine {
                let written = result.unwrap().unwrap();
                let content = noise(unsteady as u64 + 1, size);
                assert!(read(&storage, &written.manifest, "f").await.unwrap() == content, "the last reading counts");
            } else {
                assert_eq!(result.unwrap_err().kind(), StorageErrorKind::Unstable);
            }
        }
    }
}

#[tokio::test]
async fn limits_stop_a_write() {
    let storage = storage();
    let limited = |entries, bytes| WriteOptions { limits: Limits::new(entries, bytes), ..options(None) };
    let build = |writer: &mut TreeWriter| {
        add(writer, "a", &b"12345"[..])?;
        add(writer, "b", &b"12345"[..])
    };
    for (limits, fine) in [((2, 10), true), ((1, 10), false), ((2, 9), false)] {
        let result = write_tree(&storage, limited(limits.0, limits.1), &Registry::default(), build).await;
        match result {
            Ok(_) => assert!(fine),
            Err(error) => assert!(!fine && error.kind() == StorageErrorKind::TooLarge, "{error:?}"),
        }
    }
    let endless = |writer: &mut TreeWriter| add(writer, "zero", io::repeat(0));
    let result = write_tree(&storage, limited(10, 50 << 20), &Registry::default(), endless).await;
    assert_eq!(result.unwrap_err().kind(), StorageErrorKind::TooLarge);
}

#[tokio::test]
async fn protocol_files_are_left_out() {
    let storage = storage();
    let build = |writer: &mut TreeWriter| {
        writer.add_dir(path(".codex"), Mode::new(0o755))?;
        add(writer, ".codex/request.json", &b"{}"[..])?;
        add(writer, ".codex/result.json", &b"{}"[..])?;
        add(writer, "kept", &b"kept"[..])
    };
    let written = write_tree(&storage, options(None), &Registry::default(), build).await.unwrap().unwrap();
    let paths: Vec<_> = written.manifest.iter().map(|(entry, _)| entry.path.to_string()).collect();
    assert_eq!(paths, ["kept"]);
    assert_eq!(read(&storage, &written.manifest, "kept").await.unwrap(), b"kept");
}
