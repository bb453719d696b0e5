//! What a version may hold at the edges of what file systems do, on every rung: names and links as long as they get, directories
//! as full as they get, things exchanged, things that are no files, and a node whose paths are hard to write down.

use std::{
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{Node, Project, Rung, oracle, round_trip::exchange};
use crate::{mount, workspace::Dropped};

const RUNGS: [Rung; 3] = [Rung::Erofs, Rung::Overlay, Rung::Copy];

/// Makes a version with `make`, changes it with `edit`, and holds every reading of both against the oracle.
async fn survives(rung: Rung, make: impl Fn(&Path), edit: impl Fn(&Path)) -> Dropped {
    let mut project = Project::on(rung);
    let one = tempfile::tempdir().unwrap();
    make(one.path());
    let made = oracle::read(one.path());
    project.commit(one.path(), None).await;
    let two = project.materialize().await.unwrap();
    assert!(oracle::read(two.path()) == made, "{rung}");
    edit(two.path());
    let changed = oracle::read(two.path());
    let pushed = project.commit(two.path(), two.how()).await;
    assert_eq!(pushed.changes, oracle::changes(&made, &changed), "{rung}");
    let three = project.materialize().await.unwrap();
    assert!(oracle::read(three.path()) == changed, "{rung}");
    for workspace in [two, three] {
        workspace.scratch.close().await.unwrap();
    }
    pushed.dropped
}

#[tokio::test]
async fn things_that_change_places_at_once() {
    let make = |top: &Path| {
        for directory in ["x/deep", "y/other", "both"] {
            fs_err::create_dir_all(top.join(directory)).unwrap();
        }
        for file in ["a", "b", "x/deep/f", "x/g", "y/other/h", "y/g", "lone"] {
            fs_err::write(top.join(file), file).unwrap();
        }
    };
    let pairs: [&[(&str, &str)]; 5] = [
        &[("a", "b")],
        &[("x", "y")],
        &[("x/deep", "y/other")],
        &[("lone", "both")],
        &[("x/g", "y/g"), ("x", "y"), ("a", "x/g")],
    ];
    for rung in RUNGS {
        for pairs in pairs {
            let edit = |top: &Path| {
                pairs.iter().for_each(|(one, other)| exchange(&top.join(one), &top.join(other)).unwrap());
            };
            survives(rung, make, edit).await;
        }
    }
}

/// Where an image keeps a link's target changes at the end of a block, which is shared with its inode.
#[tokio::test]
async fn links_and_names_as_long_as_they_get() {
    let lengths = [1, 59, 60, 61, 4031, 4032, 4033, 4063, 4064, 4065, 4094, 4095];
    let long = |byte: u8| PathBuf::from(std::ffi::OsStr::from_bytes(&[byte; 255]));
    let make = |top: &Path| {
        for length in lengths {
            symlink("t".repeat(length), top.join(format!("link-{length}"))).unwrap();
        }
        fs_err::create_dir_all(top.join(long(b'd')).join(long(0xff))).unwrap();
        fs_err::write(top.join(long(b'd')).join(long(b'f')), "file").unwrap();
        symlink("target", top.join(long(b'l'))).unwrap();
    };
    let edit = |top: &Path| {
        for length in lengths {
            let link = top.join(format!("link-{length}"));
            fs_err::remove_file(&link).unwrap();
            symlink("u".repeat(4096 - length), &link).unwrap();
        }
        fs_err::rename(top.join(long(b'd')), top.join(long(b'e'))).unwrap();
        fs_err::write(top.join(long(b'e')).join(long(b'f')), "changed").unwrap();
        let too_long = fs_err::write(top.join("n".repeat(256)), "").unwrap_err();
        assert_eq!(too_long.kind(), std::io::ErrorKind::InvalidFilename, "the kernel allows none that a tree does not");
    };
    for rung in RUNGS {
        survives(rung, make, edit).await;
    }
}

/// The oracle reads everything; here the tree's name says as much in less time.
#[tokio::test]
async fn a_hundred_thousand_entries_in_one_directory() {
    let mut project = Project::on(Rung::Erofs);
    let one = tempfile::tempdir_in("/dev/shm").unwrap();
    fs_err::create_dir(one.path().join("d")).unwrap();
    (0..100_000).for_each(|number| drop(fs_err::File::create(one.path().join(format!("d/{number}"))).unwrap()));
    let pushed = project.commit(one.path(), None).await;
    assert_eq!(pushed.changes.created.len(), 100_000);
    let two = project.materialize().await.unwrap();
    assert_eq!(fs_err::read_dir(two.path().join("d")).unwrap().count(), 100_000);
    for directory in [one.path(), two.path()] {
        fs_err::write(directory.join("d/50000"), "written").unwrap();
        fs_err::remove_file(directory.join("d/99999")).unwrap();
    }
    let whole = project.push(one.path(), None).await.unwrap();
    let pushed = project.commit(two.path(), two.how()).await;
    assert_eq!(pushed.changes.len(), 2);
    assert_eq!(pushed.written.unwrap().tree_id(), whole.written.unwrap().tree_id());
}

#[tokio::test]
async fn things_that_are_no_files_are_counted_and_left_out() {
    let make = |top: &Path| fs_err::write(top.join("kept"), "kept").unwrap();
    let node = |at: PathBuf, kind, device| mknodat(CWD, at, kind, Mode::RUSR | Mode::WUSR, device).unwrap();
    let edit = |top: &Path| {
        fs_err::create_dir(top.join("d")).unwrap();
        for directory in [top.to_owned(), top.join("d")] {
            node(directory.join("pipe"), FileType::Fifo, 0);
            node(directory.join("socket"), FileType::Socket, 0);
            node(directory.join("null"), FileType::CharacterDevice, makedev(1, 3));
            node(directory.join("loop"), FileType::BlockDevice, makedev(7, 0));
        }
        fs_err::remove_file(top.join("kept")).unwrap();
        node(top.join("kept"), FileType::Fifo, 0);
        fs_err::write(top.join("d/also"), "also").unwrap();
    };
    for rung in RUNGS {
        assert_eq!(survives(rung, make, edit).await, Dropped { special: 9, mounts: 0, ignored: 0 }, "{rung}");
    }
}

/// Characters that mean something in options of mounts, or in the kernel's table of them.
#[tokio::test]
async fn a_node_whose_paths_are_hard_to_write_down() {
    let mut project = Project::new();
    let one = tempfile::tempdir().unwrap();
    fs_err::write(one.path().join("f"), "file").unwrap();
    project.commit(one.path(), None).await;
    for rung in RUNGS {
        let disk = tempfile::tempdir().unwrap();
        let hard = disk.path().join("a:b,c\\d e\nf\tg=h\\040");
        fs_err::create_dir(&hard).unwrap();
        let node = Node::at(&hard, rung, &project.storage);
        let workspace = node.materialize(project.head.as_ref().unwrap()).await.unwrap();
        assert_eq!(oracle::read(workspace.path()), oracle::read(one.path()), "{rung}");
        fs_err::write(workspace.path().join("g"), "new").unwrap();
        let pushed = project.push(workspace.path(), workspace.how()).await.unwrap();
        assert_eq!(pushed.changes.len(), 1, "{rung}");
        // As the next worker does with what a dead one left.
        mount::unmount_below(&hard).unwrap();
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(disk.path().to_str().unwrap()), "{rung}: {mounts}");
        workspace.scratch.close().await.unwrap();
    }
}
