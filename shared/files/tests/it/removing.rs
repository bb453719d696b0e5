//! Removing what agents leave behind.

use std::{
    fs,
    os::{
        fd::AsFd as _,
        unix::fs::{PermissionsExt as _, symlink},
    },
};

use drydock_files::{open_directory, remove_tree};
use rustix::{
    fs::{CWD, Mode, OFlags, mkdirat, openat},
    thread::{CapabilitySet, capabilities, set_capabilities},
};

/// On a thread that may not look away from modes.
fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn closed_directories_and_links_are_removed_and_never_followed() {
    let top = tempfile::tempdir().unwrap();
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs_err::write(outside.join("precious"), "kept").unwrap();
    let tree = top.path().join("tree");
    fs_err::create_dir_all(tree.join("a/b/c")).unwrap();
    fs_err::create_dir_all(tree.join("read-only/sub")).unwrap();
    fs_err::write(tree.join("read-only/sub/file"), "").unwrap();
    fs_err::write(tree.join("a/file"), "").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink("..", tree.join("a/b/up")).unwrap();
    symlink("loop", tree.join("loop")).unwrap();
    for (name, mode) in
        [("a/file", 0), ("a/b/c", 0), ("a/b", 0o311), ("a", 0), ("read-only/sub", 0o555), ("read-only", 0o555)]
    {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    without_privileges(|| {
        assert!(fs_err::remove_dir_all(&tree).is_err(), "the standard way fails on this tree");
        let leftovers = remove_tree(open_directory(top.path()).unwrap().as_fd(), b"tree");
        assert_eq!((leftovers.count, leftovers.first.is_none()), (0, true), "{leftovers:?}");
    });
    assert!(!tree.exists());
    assert_eq!(fs_err::read(outside.join("precious")).unwrap(), b"kept");
}

/// Deeper than any stack of calls or handles, and than any path the kernel takes.
#[test]
fn depth_does_not_matter() {
    let top = tempfile::tempdir().unwrap();
    let mut handle = openat(CWD, top.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..4_000 {
        mkdirat(&handle, "deeper", Mode::RWXU).unwrap();
        handle = openat(&handle, "deeper", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let leftovers = remove_tree(open_directory(top.path()).unwrap().as_fd(), b"deeper");
    assert_eq!(leftovers.count, 0, "{leftovers:?}");
    assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
}

#[test]
fn what_resists_is_reported_and_the_rest_goes() {
    let top = tempfile::tempdir().unwrap();
    let parent = top.path().join("parent");
    fs_err::create_dir_all(parent.join("tree/sub")).unwrap();
    fs_err::write(parent.join("tree/sub/file"), "").unwrap();
    // Nothing can be removed from a directory that is not ours to change; what is below it can.
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    let leftovers = without_privileges(|| remove_tree(open_directory(&parent).unwrap().as_fd(), b"tree"));
    let (first, error) = leftovers.first.unwrap();
    assert_eq!((leftovers.count, first.as_str()), (1, "tree"));
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(fs::read_dir(parent.join("tree")).unwrap().count(), 0);
}

#[test]
fn files_and_absent_names_are_fine_too() {
    let top = tempfile::tempdir().unwrap();
    fs_err::write(top.path().join("file"), "").unwrap();
    symlink("/", top.path().join("link")).unwrap();
    let handle = open_directory(top.path()).unwrap();
    for name in ["file", "link", "never-there"] {
        assert_eq!(remove_tree(handle.as_fd(), name.as_bytes()).count, 0);
    }
    assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
}

/// Modes are changed on directories only: a file may have another name elsewhere.
#[test]
fn modes_of_files_are_left_alone() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("tree")).unwrap();
    fs_err::write(top.path().join("outside"), "").unwrap();
    fs::set_permissions(top.path().join("outside"), fs::Permissions::from_mode(0o400)).unwrap();
    fs::hard_link(top.path().join("outside"), top.path().join("tree/inside")).unwrap();
    assert_eq!(remove_tree(open_directory(top.path()).unwrap().as_fd(), b"tree").count, 0);
    assert_eq!(fs::metadata(top.path().join("outside")).unwrap().permissions().mode() & 0o777, 0o400);
}
