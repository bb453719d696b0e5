//! Round trips: materialize, let a random agent loose, push, materialize elsewhere; both directories must read the same.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use proptest::{collection::vec, prelude::*};
use rustix::fs::{CWD, FileType};
use tempfile::TempDir;

use super::{Project, oracle};
use crate::workspace::Rung;

/// Names that sort around each other, nest, and are no text.
const PATHS: [&[u8]; 12] = [
    b"a",
    b"a-b",
    b"a.b",
    b"a/b",
    b"d",
    b"d/e",
    b"d/e/f",
    b"d/\xff\xfe",
    b"new\nline",
    b".codex",
    b".codex/result.json",
    b".codex/notes",
];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Write {
        at: usize,
        content: Vec<u8>,
        mode: u32,
    },
    /// Same length, then the old times put back.
    Forge {
        at: usize,
    },
    Rewrite {
        at: usize,
    },
    Large {
        at: usize,
        len: usize,
    },
    MakeDir {
        at: usize,
        mode: u32,
    },
    Symlink {
        at: usize,
        target: Vec<u8>,
    },
    Remove {
        at: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Exchange {
        from: usize,
        to: usize,
    },
    Chmod {
        at: usize,
        mode: u32,
    },
    ChmodDir {
        at: usize,
        mode: u32,
    },
    HardLink {
        from: usize,
        to: usize,
    },
    Special {
        at: usize,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let at = || 0..PATHS.len();
    let mode = || prop_oneof![Just(0o644), Just(0o755), Just(0o600), Just(0o400), Just(0), Just(0o777), Just(0o4755)];
    let dir_mode = || prop_oneof![Just(0o755), Just(0o700), Just(0o555), Just(0o311), Just(0)];
    let target = prop_oneof![
        Just(b"a".to_vec()),
        Just(b"../outside".to_vec()),
        Just(b"/etc/passwd".to_vec()),
        Just(b"\xff".to_vec()),
        Just(b".".to_vec())
    ];
    prop_oneof![
        4 => (at(), vec(any::<u8>(), 0..20), mode()).prop_map(|(at, content, mode)| Step::Write { at, content, mode }),
        2 => at().prop_map(|at| Step::Forge { at }),
        1 => at().prop_map(|at| Step::Rewrite { at }),
        1 => (at(), prop_oneof![Just(262_144), Just(262_145), Just(4 << 20), Just((4 << 20) + 1)])
            .prop_map(|(at, len)| Step::Large { at, len }),
        3 => (at(), dir_mode()).prop_map(|(at, mode)| Step::MakeDir { at, mode }),
        2 => (at(), target).prop_map(|(at, target)| Step::Symlink { at, target }),
        3 => at().prop_map(|at| Step::Remove { at }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (at(), mode()).prop_map(|(at, mode)| Step::Chmod { at, mode }),
        2 => (at(), dir_mode()).prop_map(|(at, mode)| Step::ChmodDir { at, mode }),
        1 => (at(), at()).prop_map(|(from, to)| Step::Exchange { from, to }),
        1 => (at(), at()).prop_map(|(from, to)| Step::HardLink { from, to }),
        1 => at().prop_map(|at| Step::Special { at }),
    ]
}

fn path(top: &Path, at: usize) -> PathBuf {
    top.join(OsStr::from_bytes(PATHS[at]))
}

/// Steps that do not apply fail, as an agent's would; that is part of the randomness. None leaves the workspace:
/// what a step acts on is never reached through a symlink.
pub(super) fn apply(top: &Path, step: &Step) {
    let is_inside = |at: usize| {
        path(top, at).parent().is_some_and(|parent| fs::canonicalize(parent).is_ok_and(|real| real == parent))
    };
    let is_file = |at: usize| is_inside(at) && fs::symlink_metadata(path(top, at)).is_ok_and(|found| found.is_file());
    let fresh = |at: usize| is_inside(at).then(|| clear(&path(top, at)));
    match *step {
        Step::Write { at, ref content, mode } => {
            fresh(at).map(|path| fs_err::write(&path, content).and_then(|()| set_mode(&path, mode)));
        }
        Step::Forge { at } if is_file(at) => forge(&path(top, at)),
        Step::Rewrite { at } if is_file(at) => {
            let content = fs_err::read(path(top, at)).unwrap();
            fs_err::write(path(top, at), content).unwrap();
        }
        Step::Large { at, len } => {
            fresh(at).map(|path| fs_err::write(path, (0..len).map(|at| (at % 251) as u8).collect::<Vec<_>>()));
        }
        Step::MakeDir { at, mode } => {
            fresh(at).map(|path| fs::create_dir(&path).and_then(|()| set_mode(&path, mode)));
        }
        Step::Symlink { at, ref target } => {
            fresh(at).map(|path| symlink(OsStr::from_bytes(target), path));
        }
        Step::Remove { at } => {
            fresh(at);
        }
        Step::Rename { from, to } if is_inside(from) && is_inside(to) => {
            let _ = fs_err::rename(path(top, from), path(top, to));
        }
        Step::Exchange { from, to } if is_inside(from) && is_inside(to) => {
            let _applies = exchange(&path(top, from), &path(top, to));
        }
        Step::ChmodDir { at, mode }
            if is_inside(at) && fs::symlink_metadata(path(top, at)).is_ok_and(|found| found.is_dir()) =>
        {
            set_mode(&path(top, at), mode).unwrap();
        }
        Step::Chmod { at, mode } if is_file(at) => set_mode(&path(top, at), mode).unwrap(),
        Step::HardLink { from, to } if is_file(from) && from != to => {
            fresh(to).map(|to| fs::hard_link(path(top, from), to));
        }
        Step::Special { at } => {
            if let Some(path) = fresh(at) {
                make_socket(&path);
            }
        }
        _ => {}
    }
}

fn clear(path: &Path) -> PathBuf {
    let _ = fs::remove_file(path);
    let _ = fs_err::remove_dir_all(path);
    path.to_owned()
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Both change their places at once.
pub(super) fn exchange(one: &Path, other: &Path) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, one, CWD, other, rustix::fs::RenameFlags::EXCHANGE)
}

/// Not by binding one: names of sockets are short by law.
fn make_socket(path: &Path) {
    let _applies = rustix::fs::mknodat(CWD, path, FileType::Socket, rustix::fs::Mode::RUSR, 0);
}

/// Changes the content but neither length nor any time a program can set.
pub(super) fn forge(path: &Path) {
    let metadata = fs::metadata(path).unwrap();
    let mut content = fs_err::read(path).unwrap();
    if let Some(byte) = content.first_mut() {
        *byte ^= 0xff;
    }
    fs_err::write(path, content).unwrap();
    let times =
        fs::FileTimes::new().set_modified(metadata.modified().unwrap()).set_accessed(metadata.accessed().unwrap());
    fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

async fn round_trip(disk: TempDir, rung: Rung, first: &[Step], second: &[Step]) {
    let mut project = Project::at(disk, rung);
    let one = tempfile::tempdir().unwrap();
    let one = fs::canonicalize(one.path()).unwrap().join("one");
    fs_err::create_dir_all(&one).unwrap();

    first.iter().for_each(|step| apply(&one, step));
    let made = oracle::read(&one);
    let pushed = project.commit(&one, None).await;
    assert_eq!(pushed.changes, oracle::changes(&oracle::Nodes::new(), &made));

    let two = project.materialize().await.unwrap();
    assert_eq!(oracle::read(two.path()), made);
    second.iter().for_each(|step| apply(two.path(), step));
    let changed = oracle::read(two.path());
    let paranoid = project.push(two.path(), None).await.unwrap();
    let pushed = project.commit(two.path(), two.how()).await;
    assert_eq!(pushed.changes, oracle::changes(&made, &changed));
    assert_eq!(pushed.written.is_none(), made == changed, "a version is made if and only if something differs");
    let ids = [&pushed, &paranoid].map(|pushed| pushed.written.as_ref().map(|written| written.tree_id()));
    assert_eq!(ids[0], ids[1], "what was told and a full reading agree");

    let three = project.materialize().await.unwrap();
    assert_eq!(oracle::read(three.path()), changed);
    for workspace in [two, three] {
        workspace.scratch.close().await.unwrap();
    }
}

fn round_trips(rung: Rung, cases: u32) {
    round_trips_in(|| tempfile::tempdir().unwrap(), rung, cases);
}

pub(super) fn round_trips_in(disk: impl Fn() -> TempDir, rung: Rung, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let steps = (vec(step(), 0..16), vec(step(), 0..10));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    let run = runner.run(&steps, |(first, second)| {
        runtime.block_on(round_trip(disk(), rung, &first, &second));
        Ok(())
    });
    run.unwrap();
}

#[test]
fn what_was_pushed_is_what_is_materialized_by_copying() {
    round_trips(Rung::Copy, 60);
}

#[test]
fn what_was_pushed_is_what_is_materialized_from_an_image() {
    round_trips(Rung::Erofs, 140);
}

#[test]
fn what_was_pushed_is_what_is_materialized_over_a_copied_tree() {
    round_trips(Rung::Overlay, 60);
}

/// By hand: `cargo nextest run -p drydock-worker --run-ignored only ten_thousand_round_trips`.
#[test]
#[ignore = "takes an hour"]
fn ten_thousand_round_trips() {
    for (rung, cases) in [(Rung::Copy, 2_500), (Rung::Overlay, 2_500), (Rung::Erofs, 5_000)] {
        round_trips(rung, cases);
    }
}

/// All nine transitions between file, directory (with something in it) and symlink, at once.
#[tokio::test]
async fn every_change_of_type_survives() {
    for rung in [Rung::Copy, Rung::Overlay, Rung::Erofs] {
        every_change_of_type(rung).await;
    }
}

async fn every_change_of_type(rung: Rung) {
    let make = |kind: char, at: &Path| match kind {
        'f' => fs_err::write(at, "file").unwrap(),
        'd' => {
            fs::create_dir(at).unwrap();
            fs_err::write(at.join("inside"), "inside").unwrap();
        }
        _ => symlink("target", at).unwrap(),
    };
    let mut project = Project::on(rung);
    let one = tempfile::tempdir().unwrap();
    let pairs = ["ff", "fd", "fl", "df", "dd", "dl", "lf", "ld", "ll"];
    for pair in pairs {
        make(pair.chars().next().unwrap(), &one.path().join(pair));
    }
    project.commit(one.path(), None).await;
    let two = project.materialize().await.unwrap();
    for pair in pairs {
        let at = two.path().join(pair);
        if at.is_dir() {
            fs_err::remove_dir_all(&at).unwrap()
        } else {
            fs::remove_file(&at).unwrap()
        }
        make(pair.chars().last().unwrap(), &at);
    }
    let pushed = project.commit(two.path(), two.how()).await;
    let names = |paths: &[drydock_domain::RelativePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&pushed.changes.created), ["df", "dl", "fd/inside", "ld/inside"]);
    assert_eq!(names(&pushed.changes.modified), ["fl", "lf"]);
    assert_eq!(names(&pushed.changes.deleted), ["df/inside", "dl/inside", "fd", "ld"]);
    let three = project.materialize().await.unwrap();
    assert_eq!(oracle::read(three.path()), oracle::read(two.path()));
}
