//! The scratch directory: exclusive, private, and empty afterwards.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use drydock_domain::AttemptId;

use crate::workspace::{ScratchRoot, WorkspaceError};

/// What is there besides the lock and the shelves themselves.
pub(super) fn entries(root: &Path) -> Vec<String> {
    let names = |directory: &Path| {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    let (shelves, others): (Vec<_>, Vec<_>) =
        names(root).into_iter().filter(|name| name != ".lock").partition(|name| name.starts_with("shelf-"));
    shelves.iter().flat_map(|shelf| names(&root.join(shelf))).chain(others).collect()
}

#[tokio::test]
async fn directories_are_private_and_gone_afterwards() {
    let top = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open(&top.path().join("made/if/missing"), 1).unwrap();
    let attempt = AttemptId::generate();
    let scratch = root.create(attempt).unwrap();
    let other = root.create(attempt).unwrap();
    assert_ne!(scratch.workspace().file_name(), other.workspace().file_name(), "names have a random part");
    assert_ne!(scratch.workspace().parent(), other.workspace().parent(), "attempts take the shelves in turn");
    let name = scratch.workspace().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("{attempt}-")) && name.len() > 36 + 16);
    for directory in [scratch.workspace(), &scratch.home(), &scratch.temp()] {
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(directory.is_absolute());
        fs_err::write(directory.join("file"), "").unwrap();
    }
    assert!(!scratch.home().starts_with(scratch.workspace()) && !scratch.temp().starts_with(scratch.workspace()));
    fs_err::create_dir(scratch.packs()).unwrap();
    fs_err::write(scratch.packs().join("file"), "").unwrap();
    scratch.close().await.unwrap();
    assert_eq!(entries(root.path()).len(), 3, "the other attempt's");
    other.close().await.unwrap();
    assert_eq!(entries(root.path()), [""; 0]);
}

#[tokio::test]
async fn a_dropped_scratch_is_removed_in_the_background() {
    let top = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open(top.path(), 1).unwrap();
    let scratch = root.create(AttemptId::generate()).unwrap();
    fs_err::write(scratch.workspace().join("file"), "").unwrap();
    drop(scratch);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !entries(root.path()).is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", entries(root.path()));
        std::thread::yield_now();
    }
}

#[test]
fn a_root_is_held_by_one_worker() {
    let top = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open(top.path(), 1).unwrap();
    let error = ScratchRoot::open(top.path(), 1).unwrap_err();
    assert!(matches!(error, WorkspaceError::RootBusy { .. }));
    assert!(error.to_string().contains("DRYDOCK_SCRATCH_DIR"));
    drop(root);
    ScratchRoot::open(top.path(), 1).unwrap();
}

#[test]
fn what_a_dead_worker_left_is_swept() {
    let top = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open(top.path(), 1).unwrap();
    std::mem::forget(root.create(AttemptId::generate()).unwrap());
    fs_err::write(top.path().join("stray"), "").unwrap();
    assert_eq!(root.sweep().unwrap(), 4);
    assert_eq!(entries(top.path()), [""; 0]);
    assert_eq!(root.sweep().unwrap(), 0);
    assert!(ScratchRoot::open(top.path(), 1).is_err(), "the lock is still held");
}

/// Red when a lost shelf is not made anew, and when something else in its place keeps the worker from starting.
#[tokio::test]
async fn shelves_that_somebody_removed_or_replaced_are_made_anew() {
    let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = ScratchRoot::open(top.path(), 1).unwrap();
    for number in 0..32 {
        fs::remove_dir(top.path().join(format!("shelf-{number:02}"))).unwrap();
    }
    for _ in 0..2 * 32 {
        let scratch = root.create(AttemptId::generate()).unwrap();
        assert!(scratch.workspace().is_dir());
        scratch.close().await.unwrap();
    }
    drop(root);
    fs_err::remove_dir_all(top.path().join("shelf-00")).unwrap();
    std::os::unix::fs::symlink(outside.path(), top.path().join("shelf-00")).unwrap();
    fs_err::remove_dir_all(top.path().join("shelf-01")).unwrap();
    fs_err::write(top.path().join("shelf-01"), "").unwrap();
    let root = ScratchRoot::open(top.path(), 1).unwrap();
    for _ in 0..2 {
        let scratch = root.create(AttemptId::generate()).unwrap();
        assert_eq!(fs::canonicalize(scratch.workspace()).unwrap(), scratch.workspace(), "no link is followed");
        scratch.close().await.unwrap();
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_unusable_root_is_said_to_be_so() {
    let top = tempfile::tempdir().unwrap();
    fs_err::write(top.path().join("file"), "").unwrap();
    let error = ScratchRoot::open(&top.path().join("file/below"), 1).unwrap_err();
    assert!(matches!(error, WorkspaceError::Root { .. }), "{error:?}");
    assert!(error.to_string().contains("DRYDOCK_SCRATCH_DIR"), "{error}");
    let error = ScratchRoot::open(top.path(), u64::MAX).unwrap_err();
    assert!(matches!(error, WorkspaceError::RootFull { .. }), "{error:?}");
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o555)).unwrap();
    super::without_privileges(|| {
        let error = ScratchRoot::open(top.path(), 1).unwrap_err();
        assert!(matches!(error, WorkspaceError::Root { .. }), "{error:?}");
    });
}
