//! What a small change of a big tree costs.

use std::{sync::Arc, time::Instant};

use drydock_domain::Mode;
use drydock_storage::{ChangeWriter, Delta, Manifest, Once, Storage, TreeWriter, write_tree};

use crate::support::{Registry, change, options, path, put, requests, storage_counted};

/// `files` files of a few bytes, a hundred in a directory.
async fn big_tree(storage: &Storage, files: usize) -> Arc<Manifest> {
    let build = move |writer: &mut TreeWriter| {
        for at in 0..files {
            let directory = path(&format!("directory-{:05}", at / 100));
            if at % 100 == 0 {
                writer.add_dir(directory.clone(), Mode::new(0o755))?;
            }
            let file = directory.join(format!("file-{at:06}.rs")).unwrap();
            writer.add_file(file, Mode::new(0o644), &mut Once(&at.to_le_bytes()[..]))?;
        }
        Ok(())
    };
    Box::pin(write_tree(storage, options(None), &Registry::default(), build)).await.unwrap().unwrap().manifest
}

fn small(at: usize) -> impl FnOnce(&mut ChangeWriter) -> Result<(), drydock_storage::StorageError> {
    move |writer| {
        put(writer, "directory-00007/file-000701.rs", format!("changed {at}").as_bytes())?;
        put(writer, &format!("directory-00009/new-{at}.rs"), format!("new {at}").as_bytes())?;
        writer.remove(path("directory-00011/file-001101.rs"));
        Ok(())
    }
}

#[tokio::test]
async fn a_small_change_of_a_big_tree_asks_nothing_of_the_bucket() {
    let (storage, metrics) = storage_counted();
    let base = big_tree(&storage, 50_000).await;
    let before = requests(&metrics);
    let registry = Registry::default();
    let first = change(&storage, &base, Delta::INLINE_MAX, &registry, small(1)).await.unwrap().unwrap();
    let second = first.manifest().unwrap();
    let second = change(&storage, &second, Delta::INLINE_MAX, &registry, small(2)).await.unwrap().unwrap();
    assert_eq!(requests(&metrics), before);
    assert!(registry.announced.lock().unwrap().is_empty());
    assert!(second.stored.delta.unwrap().len() < 800, "by what changed, not by what there is");
    assert_eq!((first.changes.len(), second.changes.len()), (3, 2));
    assert_eq!((first.file_count, second.file_count), (50_000, 50_001));
}

/// `cargo nextest run --release -p drydock-storage --run-ignored only --no-capture time_of`
#[tokio::test]
#[ignore = "prints times"]
async fn time_of_a_small_change() {
    let (storage, _) = storage_counted();
    for files in [1_000, 10_000, 50_000, 200_000] {
        let base = big_tree(&storage, files - files / 100 - 1).await;
        let start = Instant::now();
        let first = change(&storage, &base, Delta::INLINE_MAX, &Registry::default(), small(0)).await.unwrap();
        let index = start.elapsed();
        let start = Instant::now();
        let mut head = first.unwrap().manifest().unwrap();
        let merge = start.elapsed();
        let mut times = Vec::new();
        for at in 1..100 {
            let start = Instant::now();
            let next = change(&storage, &head, Delta::INLINE_MAX, &Registry::default(), small(at)).await.unwrap();
            times.push(start.elapsed());
            if at % 10 == 0 {
                head = next.unwrap().manifest().unwrap();
            }
        }
        times.sort_unstable();
        let [median, last] = [times[times.len() / 2], times[times.len() - 1]];
        println!(
            "{files} entries: {index:.1?} the first, then median {median:.1?}, at most {last:.1?}; view {merge:.1?}"
        );
    }
}
