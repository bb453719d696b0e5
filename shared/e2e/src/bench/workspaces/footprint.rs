//! Memory of a process that moves a big tree, in a process of its own.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use drydock_worker::workspace::Rung;

use super::{node::Node, trees, verdicts::Verdicts};
use crate::bench::memory;

const BAR_MIB: f64 = 100.0;

pub(super) fn measure(directory: &Path, files: usize, verdicts: &mut Verdicts) -> Result<()> {
    let directory = directory.join("memory");
    let tree = trees::generated(&directory, files)?;
    verdicts.line(&format!("\n== memory, {} files, {} MB", tree.files, tree.bytes / 1_000_000));
    let child = Command::new(std::env::current_exe()?)
        .arg("--directory")
        .arg(&directory)
        .args(["--memory-child", &files.to_string()])
        .output()?;
    ensure!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    for line in String::from_utf8_lossy(&child.stdout).lines() {
        let (what, peak) = line.split_once(": ").context("a figure has a name")?;
        verdicts.value(&format!("memory, {files} files: {what}"), peak.parse()?, "MiB", BAR_MIB);
    }
    Ok(())
}

pub(super) async fn child(directory: &Path, files: usize) -> Result<()> {
    let (says, pid) = (Verdicts::default(), std::process::id());
    let peak = |what: &str| {
        says.line(&format!("{what}: {:.1}", memory::memory(pid)?.peak));
        memory::reset_peak(pid)
    };
    let storage = drydock_testing::storage(&drydock_testing::storage_config());
    let node = Node::new(directory, Rung::Erofs, &storage).await?;
    memory::reset_peak(pid)?;
    let version = node.import(&directory.join(format!("tree-{files}"))).await?;
    peak("push of everything")?;
    // As a worker that has never seen it.
    let (tree, stored) = (version.tree_id(), version.stored());
    drop(version);
    let scratch = node.scratch()?;
    let base = node.materializer.base(super::node::TENANT, tree, stored);
    let made = node.materializer.materialize(Some(base), &scratch).await?.into();
    peak("cold")?;
    fs_err::write(scratch.workspace().join("new"), "new")?;
    let pushed = node.push(&made, scratch.workspace(), &scratch).await?;
    ensure!(pushed.changes.created.len() == 1, "one file is new, not {}", pushed.changes.created.len());
    peak("push of one change")?;
    scratch.close().await?;
    Ok(())
}
