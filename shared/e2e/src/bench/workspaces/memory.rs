//! Memory of a process that moves a big tree, in a process of its own.

use std::{path::Path, process::Command, sync::Arc};

use drydock_worker::workspace::{Materialized, Rung};

use crate::{node::Node, report::Report, trees};

const BAR_MIB: f64 = 100.0;

pub(crate) fn measure(directory: &Path, files: usize, report: &mut Report) {
    let tree = trees::generated(&directory.join("memory"), files);
    println!("\n== memory, {} files, {} MB", tree.files, tree.bytes / 1_000_000);
    let child = Command::new(std::env::current_exe().unwrap())
        .arg("--directory")
        .arg(directory.join("memory"))
        .args(["--memory-child", &files.to_string()])
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    for line in String::from_utf8_lossy(&child.stdout).lines() {
        println!("{line}");
        let (what, peak) = line.split_once(": ").unwrap();
        let peak: f64 = peak.trim_end_matches(" MiB").parse().unwrap();
        report.value(&format!("memory, {files} files: {what}"), peak, "MiB", BAR_MIB);
    }
}

pub(crate) async fn child(directory: &Path, files: usize) {
    let storage = drydock_testing::storage(&drydock_testing::storage_config());
    let tree = directory.join(format!("tree-{files}"));
    let node = Node::new(directory, Rung::Erofs, &storage).await;
    reset();
    let version = node.import(&tree).await.id();
    println!("push of everything: {:.0} MiB", peak());
    reset();
    let scratch = node.scratch();
    let made: Arc<Materialized> = node.materialize(version, &scratch).await;
    println!("cold: {:.0} MiB", peak());
    reset();
    fs_err::write(scratch.workspace().join("new"), "new").unwrap();
    let pushed = node.push(&made, scratch.workspace(), &scratch.packs()).await;
    assert_eq!(pushed.changes.created.len(), 1);
    println!("push of one change: {:.0} MiB", peak());
    scratch.close().await.unwrap();
}

/// Resets the high-water mark (`proc(5)`).
fn reset() {
    fs_err::write("/proc/self/clear_refs", "5").unwrap();
}

fn peak() -> f64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
