//! A full disk, for real, at each place that writes: a typed error, nothing left, and the next job works when there is space
//! again. Small file systems on loop devices, filled to the block.

use std::{io::Write as _, path::Path};

use drydock_storage::Manifest;

use super::{Node, Project, Rung, WorkspaceError, loop_device::LoopDevice, oracle};
use crate::cache::CacheError;

/// Bytes of a version's contents on a node, see [`version`].
const CONTENTS: u64 = (3 << 20) + FILES * 4096;
const FILES: u64 = 20;
const DEVICE: u64 = 24 << 20;

/// One file of 3 MiB and some small ones.
async fn version(project: &mut Project) -> (std::sync::Arc<Manifest>, oracle::Nodes) {
    let directory = tempfile::tempdir().unwrap();
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().update(b"full").finalize_xof().fill(&mut noise);
    fs_err::write(directory.path().join("big"), &noise).unwrap();
    for number in 0..FILES as usize {
        fs_err::write(directory.path().join(format!("f{number}")), &noise[number..1000 + number]).unwrap();
    }
    project.commit(directory.path(), None).await;
    (project.head.clone().unwrap(), oracle::read(directory.path()))
}

async fn works(node: &Node, version: &Manifest, expected: &oracle::Nodes) {
    let workspace = node.materialize(version).await.unwrap();
    assert!(oracle::read(workspace.path()) == *expected);
    workspace.scratch.close().await.unwrap();
    node.assert_clean().await;
}

/// A node whose cache alone lies on the small disk.
fn node_with_cache_on(device: &Path, scratch: &Path, rung: Rung, project: &Project) -> Node {
    let cache = device.join("cache");
    fs_err::create_dir_all(&cache).unwrap();
    std::os::unix::fs::symlink(&cache, scratch.join("cache")).unwrap();
    Node::at(scratch, rung, &project.storage)
}

/// The operation that finds no room before anything is written.
const RESERVE: &str = "reserve";

fn assert_disk_full(error: &WorkspaceError, operation: &str) {
    let found = match error {
        WorkspaceError::DiskFull { operation, .. } | WorkspaceError::Cache(CacheError::DiskFull { operation, .. }) => {
            *operation
        }
        // Nothing was begun for which there was no room.
        WorkspaceError::Cache(CacheError::Full { .. }) => RESERVE,
        other => panic!("not told as a full disk: {other:?}"),
    };
    assert_eq!(found, operation, "{error:?}");
}

/// Fails for lack of space in `operation` where only `left` bytes are; works when there are more.
async fn full_cache(device: LoopDevice, rung: Rung, left: u64, is_loaded: bool, operation: &str) {
    let mut project = Project::new();
    let (manifest, expected) = version(&mut project).await;
    let scratch = tempfile::tempdir().unwrap();
    let node = node_with_cache_on(&device.path(), scratch.path(), rung, &project);
    let cache = node.materializer.cache();
    if is_loaded {
        drop(cache.load(super::TENANT, &manifest).await.unwrap());
        cache.audit_synced().await;
    }
    let before = (cache.counted(), device.used_by("cache"));
    let ballast = device.fill(left);
    let error = node.materialize(&manifest).await.err().unwrap();
    assert_disk_full(&error, operation);
    node.assert_clean().await;
    assert_eq!((cache.counted(), device.used_by("cache")), before, "nothing is left");
    drop(ballast);
    works(&node, &manifest, &expected).await;
}

/// Without extents ext4 can reserve nothing, and blocks that say where the others are come on top.
#[tokio::test]
async fn while_a_data_file_is_filled() {
    full_cache(LoopDevice::ext4_without_extents(DEVICE), Rung::Copy, CONTENTS, false, "write contents").await;
}

#[tokio::test]
async fn while_an_index_is_written() {
    full_cache(LoopDevice::ext4(DEVICE), Rung::Copy, CONTENTS, false, "write an index").await;
}

#[tokio::test]
async fn before_an_image_is_written() {
    full_cache(LoopDevice::ext4(DEVICE), Rung::Erofs, 0, true, RESERVE).await;
}

/// The tree's own top directory is a block more than what is counted.
#[tokio::test]
async fn while_a_tree_is_copied() {
    full_cache(LoopDevice::ext4(DEVICE), Rung::Overlay, CONTENTS, true, "copy a tree").await;
}

#[tokio::test]
async fn while_a_workspace_is_copied() {
    let device = LoopDevice::ext4(DEVICE);
    let mut project = Project::new();
    let (manifest, expected) = version(&mut project).await;
    let disk = tempfile::tempdir().unwrap();
    let scratch = device.path().join("scratch");
    fs_err::create_dir(&scratch).unwrap();
    std::os::unix::fs::symlink(&scratch, disk.path().join("scratch")).unwrap();
    let node = Node::at(disk.path(), Rung::Copy, &project.storage);
    for (left, operation) in [(1 << 20, "write"), (0, "make")] {
        let ballast = device.fill(left);
        let error = node.materialize(&manifest).await.err().unwrap();
        assert_disk_full(&error, operation);
        assert_eq!(super::scratch::entries(node.root.path()), [""; 0]);
        drop(ballast);
        works(&node, &manifest, &expected).await;
    }
}

/// The agent fills the disk with what it writes; nothing of the job's other changes is lost when there is space again.
#[tokio::test]
async fn while_an_agent_writes_and_its_changes_are_pushed() {
    for rung in [Rung::Erofs, Rung::Overlay, Rung::Copy] {
        let device = LoopDevice::ext4(DEVICE);
        let mut project = Project::new();
        let (manifest, _) = version(&mut project).await;
        let disk = tempfile::tempdir().unwrap();
        let scratch = device.path().join("scratch");
        fs_err::create_dir(&scratch).unwrap();
        std::os::unix::fs::symlink(&scratch, disk.path().join("scratch")).unwrap();
        let node = Node::at(disk.path(), rung, &project.storage);
        let workspace = node.materialize(&manifest).await.unwrap();
        project.packs = tempfile::tempdir_in(device.path()).unwrap();
        let ballast = device.fill(2 << 20);
        let mut file = fs_err::File::create(workspace.path().join("log")).unwrap();
        let mut noise = vec![0; 64 << 10];
        let error = loop {
            rand::Rng::fill_bytes(&mut rand::rng(), &mut noise);
            if let Err(error) = file.write_all(&noise) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "the agent is told");
        drop(file);
        let changed = oracle::read(workspace.path());
        let error = project.push(workspace.path(), workspace.how()).await.unwrap_err();
        assert_disk_full(&error, "build");
        assert_eq!(fs_err::read_dir(project.packs.path()).unwrap().count(), 0, "no pack is left");
        drop(ballast);
        project.commit(workspace.path(), workspace.how()).await;
        workspace.scratch.close().await.unwrap();
        let workspace = node.materialize(project.head.as_ref().unwrap()).await.unwrap();
        assert!(oracle::read(workspace.path()) == changed, "{rung}");
        workspace.scratch.close().await.unwrap();
        node.assert_clean().await;
    }
}
