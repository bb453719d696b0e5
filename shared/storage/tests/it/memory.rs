//! Memory: writing and reading a tree of 200,000 entries takes less than 100 MiB more than an idle process.
//!
//! Measured in a process of its own (this test binary, started again), because other tests run in this one.

use std::process::Command;

use drydock_domain::Mode;
use drydock_storage::{Limits, Manifest, Once, TreeWriter, write_tree};

use crate::support::{Registry, TENANT, options, path, storage};

/// With a directory for fifty of them, and the one around: just below the limit of 200,000 entries.
const FILES: usize = 196_000;
const LIMIT_KIB: u64 = 100 << 10;
const CHILD: &str = "DRYDOCK_TEST_MEMORY_CHILD";

#[test]
fn a_tree_of_200_000_entries_takes_less_than_100_mib() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::child", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    println!("{output}");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let extra: Vec<u64> = output.lines().filter_map(|line| line.split_once("extra_kib=")?.1.parse().ok()).collect();
    assert_eq!(extra.len(), 3, "{output}");
    assert!(extra.iter().all(|&extra| extra < LIMIT_KIB), "{output}");
}

#[test]
#[ignore = "started by the test above"]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = storage();
        storage.check().await.unwrap();
        let registry = Registry::default();
        let build = |writer: &mut TreeWriter| fill(writer, 0);
        let (first, extra) = measure(write_tree(&storage, options(None), &registry, build)).await;
        println!("write: extra_kib={extra}");
        let id = first.unwrap().unwrap().manifest_id;
        let (read, extra) = measure(Manifest::fetch(&storage, TENANT, id, Limits::default())).await;
        println!("read: extra_kib={extra}");
        // The base is there before, and stays.
        let base = read.unwrap();
        let build = |writer: &mut TreeWriter| fill(writer, 1);
        let (again, extra) = measure(write_tree(&storage, options(Some(&base)), &registry, build)).await;
        println!("write with a base: extra_kib={extra}");
        assert!(again.unwrap().is_some());
    });
}

/// Files of a few bytes in directories of fifty, all different; the first differs by `version`.
fn fill(writer: &mut TreeWriter, version: u8) -> Result<(), drydock_storage::StorageError> {
    for at in 0..FILES {
        let directory = path(&format!("packages/package-{:05}", at / 50));
        if at == 0 {
            writer.add_dir(path("packages"), Mode::new(0o755))?;
        }
        if at % 50 == 0 {
            writer.add_dir(directory.clone(), Mode::new(0o755))?;
        }
        let content = [&at.to_le_bytes()[..], &[if at == 0 { version } else { 0 }]].concat();
        let file = directory.join(format!("module-{at:06}.rs")).unwrap();
        writer.add_file(file, Mode::new(0o644), &mut Once(&content[..]))?;
    }
    Ok(())
}

/// The peak of resident memory during `work` over what was resident before, in KiB.
async fn measure<T>(work: impl Future<Output = T>) -> (T, u64) {
    // Resets the high-water mark (proc(5)).
    fs_err::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let result = Box::pin(work).await;
    (result, status("VmHWM") - before)
}

fn status(field: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
