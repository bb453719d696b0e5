//! Materializing: the same result under any umask, and no result from damaged data.

use std::{fs, os::unix::fs::PermissionsExt as _};

use drydock_domain::{AttemptId, Digest};
use drydock_storage::{Limits, Manifest, StorageErrorKind};
use rustix::process::umask;

use super::{Project, TENANT, WorkspaceError, oracle, without_privileges};

async fn committed(project: &mut Project) -> oracle::Nodes {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path();
    fs_err::create_dir_all(top.join("closed/inner")).unwrap();
    fs_err::write(top.join("closed/inner/file"), "content").unwrap();
    fs_err::write(top.join("empty"), "").unwrap();
    fs_err::write(top.join("big"), vec![7; (9 << 20) + 5]).unwrap();
    let modes =
        [("closed/inner/file", 0o777), ("closed/inner", 0o777), ("closed", 0o555), ("empty", 0o666), ("big", 0)];
    for (name, mode) in modes {
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let nodes = oracle::read(top);
    project.commit(top, None).await;
    nodes
}

#[tokio::test]
async fn modes_do_not_depend_on_the_umask() {
    let mut project = Project::new();
    let expected = committed(&mut project).await;
    for mask in [0o077, 0o000, 0o022] {
        let before = umask(rustix::fs::Mode::from_raw_mode(mask));
        let result = project.materialize().await;
        umask(before);
        assert_eq!(oracle::read(result.unwrap().path()), expected, "umask {mask:o}");
    }
}

#[test]
fn it_needs_no_privileges() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut project = Project::new();
    let expected = runtime.block_on(committed(&mut project));
    drop(runtime);
    let workspace = without_privileges(|| {
        // A runtime of its own: threads it starts inherit what this one may not do.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(project.materialize()).unwrap()
    });
    assert_eq!(oracle::read(workspace.path()), expected);
}

#[tokio::test]
async fn empty_files_are_files_of_their_own() {
    let mut project = Project::new();
    let one = tempfile::tempdir().unwrap();
    (0..50).for_each(|at| fs_err::write(one.path().join(at.to_string()), "").unwrap());
    project.commit(one.path(), None).await;
    let two = project.materialize().await.unwrap();
    fs_err::write(two.path().join("7"), "written").unwrap();
    let written = oracle::read(two.path())
        .into_values()
        .filter(|node| matches!(node, oracle::Node::File { content, .. } if !content.is_empty()));
    assert_eq!(written.count(), 1);
}

#[tokio::test]
async fn damaged_or_missing_packs_give_a_typed_error() {
    let mut project = Project::new();
    committed(&mut project).await;
    let manifest = project.head.clone().unwrap();
    let key = project.storage.keys(TENANT).pack(manifest.packs()[0].id);
    let good = project.storage.get(&key, 64 << 20).await.unwrap();
    let failure = async || match project.materialize().await.err().unwrap() {
        WorkspaceError::Storage(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    for block in manifest.blocks() {
        let mut damaged = good.to_vec();
        damaged[(block.info.offset + block.info.stored_len - 1) as usize] ^= 1;
        project.storage.delete(&key).await.unwrap();
        project.storage.put(&key, damaged.into()).await.unwrap();
        assert_eq!(failure().await, StorageErrorKind::Corrupt);
    }
    project.storage.delete(&key).await.unwrap();
    let last = manifest.blocks().last().unwrap().info;
    let cut = (last.offset + last.stored_len - 1) as usize;
    project.storage.put(&key, good.slice(..cut)).await.unwrap();
    assert_eq!(failure().await, StorageErrorKind::Corrupt);
    project.storage.delete(&key).await.unwrap();
    assert_eq!(failure().await, StorageErrorKind::NotFound);
}

/// A manifest that points at another version's pack, of the same shape and with fitting checksums: only the hash of
/// the content can tell.
#[tokio::test]
async fn contents_are_verified_by_their_hashes() {
    let mut project = Project::new();
    let mut versions = Vec::new();
    for content in [b"\x01\x02", b"\x03\x04"] {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("f"), content).unwrap();
        project.commit(directory.path(), None).await;
        versions.extend(project.head.take());
    }
    let key = project.storage.keys(TENANT).manifest(versions[0].id());
    let object = project.storage.get(&key, 1 << 20).await.unwrap();
    let mut body = zstd::stream::decode_all(&object[20..]).unwrap();
    let [from, to] = [0, 1].map(|at: usize| {
        let crc = versions[at].blocks()[0].info.crc32c;
        [versions[at].packs()[0].id.as_bytes().to_vec(), crc.to_le_bytes().to_vec()]
    });
    for (from, to) in from.iter().zip(to) {
        let at = body.windows(from.len()).position(|window| window == from).unwrap();
        body[at..at + to.len()].copy_from_slice(&to);
    }
    let stored = [&object[..20], &zstd::stream::encode_all(&body[..], 3).unwrap()].concat();
    let forged = Manifest::decode(Digest::of(&stored), &stored, &Limits::default()).unwrap();
    project.storage.put(&project.storage.keys(TENANT).manifest(Digest::of(&stored)), stored.into()).await.unwrap();
    project.head = Some(forged.into());
    let error = project.materialize().await.err().unwrap();
    assert!(matches!(error, WorkspaceError::Storage(e) if e.kind() == StorageErrorKind::Corrupt));
}

#[tokio::test]
async fn a_directory_in_use_is_not_overwritten() {
    let mut project = Project::new();
    committed(&mut project).await;
    let scratch = project.node.root.create(AttemptId::generate()).unwrap();
    fs_err::write(scratch.workspace().join("big"), "mine").unwrap();
    let error = project.node.materializer.materialize(project.base(), &scratch).await.err().unwrap();
    assert!(matches!(error, WorkspaceError::Io { operation: "create", .. }), "{error:?}");
    assert_eq!(fs_err::read(scratch.workspace().join("big")).unwrap(), b"mine");
}
