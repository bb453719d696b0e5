//! `.drydockignore`: what Git's users expect of it. Git itself says what that is.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use drydock_domain::{EntryKind, IGNORE_FILE, IgnoreFlaw, RelativePath};
use drydock_storage::Limits;
use proptest::{collection::vec, prelude::*, sample::subsequence};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use tempfile::TempDir;

use super::{
    Project, PushOptions, Rung, oracle,
    round_trip::{Step, apply, step},
};
use crate::workspace::{Dropped, push};

const RUNGS: [Rung; 3] = [Rung::Copy, Rung::Overlay, Rung::Erofs];
/// Of names that sort around each other and nest, see `round_trip::PATHS`.
const RULES: [&str; 14] =
    ["a", "*.b", "/d/e", "d/", "!a.b", "d/*", "!d/e", "!d", ".codex", "new*", "**/f", "# a-b", "a/**", "/*"];

/// A Git index beside a workspace: what `git add -A` would make of it.
struct Git(TempDir);

impl Git {
    fn new() -> Self {
        let git = Self(tempfile::tempdir().unwrap());
        git.run(git.0.path(), &["init", "--quiet"]);
        git
    }

    fn run(&self, tree: &Path, words: &[&str]) -> Vec<u8> {
        let excludes = format!("core.excludesFile={}", tree.join(IGNORE_FILE).display());
        let mut git = Command::new("git");
        git.current_dir(tree).env("GIT_DIR", self.0.path().join("git")).env("GIT_WORK_TREE", tree);
        let output = git.args(["-c", &excludes, "-c", "core.fsync=none"]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn add_all(&self, tree: &Path) -> BTreeSet<RelativePath> {
        self.run(tree, &["add", "-A"]);
        let listed = self.run(tree, &["ls-files", "-z"]);
        let paths = listed.split(|&byte| byte == 0).filter(|path| !path.is_empty());
        paths.map(|path| RelativePath::new(path).unwrap()).filter(is_compared).collect()
    }
}

/// Files of the newest version.
fn files(project: &Project) -> BTreeSet<RelativePath> {
    let entries = project.head.iter().flat_map(|head| head.tree().entries());
    entries.filter(|entry| !matches!(entry.kind, EntryKind::Dir { .. })).map(|entry| entry.path.clone()).collect()
}

/// Git ignores a file with rules too, where they say so.
fn is_compared(path: &RelativePath) -> bool {
    !path.is_protocol_file() && path.as_bytes() != IGNORE_FILE.as_bytes()
}

fn compared(project: &Project) -> BTreeSet<RelativePath> {
    files(project).into_iter().filter(is_compared).collect()
}

/// Some rules, and what an agent did under them.
type Episode = (Vec<&'static str>, Vec<Step>);

fn write_rules(top: &Path, rules: &[&str]) {
    fs_err::write(top.join(IGNORE_FILE), rules.join("\n")).unwrap();
}

/// Every file of the version is as it lies in the workspace, and every directory is there.
async fn is_part_of(project: &Project, workspace: &Path) {
    let there = oracle::read(workspace);
    let again = project.materialize().await.unwrap();
    for (path, node) in oracle::read(again.path()) {
        assert_eq!(there.get(&path), Some(&node), "{path}");
    }
    again.scratch.close().await.unwrap();
}

async fn as_git_does(rung: Rung, first: &Episode, second: &Episode) {
    let (mut project, git) = (Project::on(rung), Git::new());
    let one = tempfile::tempdir().unwrap();
    let one = fs::canonicalize(one.path()).unwrap().join("one");
    fs_err::create_dir_all(&one).unwrap();
    write_rules(&one, &first.0);
    first.1.iter().for_each(|step| apply(&one, step));
    project.commit(&one, None).await;
    assert_eq!(compared(&project), git.add_all(&one));
    is_part_of(&project, &one).await;

    let two = project.materialize().await.unwrap();
    write_rules(two.path(), &second.0);
    second.1.iter().for_each(|step| apply(two.path(), step));
    let paranoid = project.push(two.path(), None).await.unwrap();
    let pushed = project.commit(two.path(), two.how()).await;
    assert_eq!(compared(&project), git.add_all(two.path()));
    is_part_of(&project, two.path()).await;
    let ids = [&pushed, &paranoid].map(|pushed| pushed.written.as_ref().map(|written| written.tree_id()));
    assert_eq!(ids[0], ids[1], "the layer and a walk over everything agree");
    assert_eq!(pushed.dropped, paranoid.dropped);
    two.scratch.close().await.unwrap();
}

fn property(rung: Rung) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Git fails where a socket took a tracked file's place.
    let step = || step().prop_filter("Git knows no sockets", |step| !matches!(step, Step::Special { .. }));
    let episode = |steps| (subsequence(RULES.to_vec(), 0..6).prop_shuffle(), vec(step(), 0..steps));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let run = runner.run(&(episode(16), episode(12)), |(first, second)| {
        runtime.block_on(as_git_does(rung, &first, &second));
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_version_has_what_git_would_add_where_files_are_copied() {
    property(Rung::Copy);
}

#[test]
fn a_version_has_what_git_would_add_from_an_image() {
    property(Rung::Erofs);
}

#[test]
fn a_version_has_what_git_would_add_over_a_copied_tree() {
    property(Rung::Overlay);
}

/// A project whose first version has these files.
async fn project(rung: Rung, files: &[(&str, &str)]) -> Project {
    let mut project = Project::on(rung);
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let at = directory.path().join(name);
        fs_err::create_dir_all(at.parent().unwrap()).unwrap();
        fs_err::write(at, content).unwrap();
    }
    project.commit(directory.path(), None).await;
    project
}

/// A tree that cannot be walked: twenty directories with names of 250 bytes make a path no version can hold.
fn make_unwalkable(directory: &Path) {
    fs_err::create_dir_all(directory).unwrap();
    let mut handle = openat(CWD, directory, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        let name = "n".repeat(250);
        mkdirat(&handle, &name, Mode::RWXU).unwrap();
        handle = openat(&handle, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[tokio::test]
async fn an_ignored_directory_is_one_entry_and_never_opened() {
    for rung in RUNGS {
        let project = project(rung, &[(IGNORE_FILE, "node_modules/\n"), ("src/a", "a")]).await;
        let two = project.materialize().await.unwrap();
        let modules = two.path().join("src/node_modules");
        make_unwalkable(&modules);
        (0..100).for_each(|at| fs_err::write(modules.join(at.to_string()), "").unwrap());
        // A new directory is looked at whole, and still not what it has of these.
        make_unwalkable(&two.path().join("new/node_modules"));
        fs_err::write(two.path().join("new/file"), "new").unwrap();
        let options = PushOptions { limits: Limits::new(10, 1000), ..project.options() };
        let how = two.how().unwrap();
        let pushed = Box::pin(push(&project.storage, options, &how, two.path(), &project.announced)).await.unwrap();
        assert_eq!(pushed.changes.created, ["new/file".parse().unwrap()], "{rung}");
        assert_eq!(pushed.dropped, Dropped { ignored: 2, ..Dropped::default() }, "{rung}");
    }
}

#[tokio::test]
async fn nothing_but_ignored_files_is_no_new_version() {
    for rung in RUNGS {
        let project = project(rung, &[(IGNORE_FILE, "*.log\n")]).await;
        let two = project.materialize().await.unwrap();
        fs_err::write(two.path().join("build.log"), "noise").unwrap();
        fs_err::create_dir_all(two.path().join(".git")).unwrap();
        fs_err::write(two.path().join(".git/index.lock"), "").unwrap();
        let pushed = project.push(two.path(), two.how()).await.unwrap();
        // The directory is new, and no rule ignores it.
        assert!(pushed.changes.is_empty(), "{rung}");
        assert_eq!(pushed.dropped.ignored, 2, "{rung}");
        fs_err::remove_dir_all(two.path().join(".git")).unwrap();
        let pushed = project.push(two.path(), two.how()).await.unwrap();
        assert!(pushed.written.is_none(), "{rung}");
        assert_eq!(pushed.dropped.ignored, 1, "{rung}");
    }
}

/// With rules as many have them: nothing whose name begins with a dot.
#[tokio::test]
async fn the_protocols_files_are_not_counted_as_ignored() {
    for rung in RUNGS {
        let project = project(rung, &[(IGNORE_FILE, ".*\n")]).await;
        let two = project.materialize().await.unwrap();
        fs_err::create_dir(two.path().join(".codex")).unwrap();
        fs_err::write(two.path().join(".codex/request.json"), "{}").unwrap();
        let pushed = project.push(two.path(), two.how()).await.unwrap();
        assert!(pushed.written.is_none() && pushed.dropped == Dropped::default(), "{rung}: {pushed:?}");
        fs_err::write(two.path().join(".codex/notes"), "").unwrap();
        let pushed = project.push(two.path(), two.how()).await.unwrap();
        assert!(pushed.written.is_none() && pushed.dropped.ignored == 1, "{rung}: {pushed:?}");
    }
}

#[tokio::test]
async fn what_a_version_has_stays_in_it_and_the_file_that_lies_there_counts() {
    for rung in RUNGS {
        let before = [("a.log", "a"), ("b.log", "b"), ("gone.log", "gone"), (IGNORE_FILE, "*.txt\n")];
        let mut project = project(rung, &before).await;
        let two = project.materialize().await.unwrap();
        write_rules(two.path(), &["*.log"]);
        fs_err::write(two.path().join("a.log"), "edited").unwrap();
        fs::remove_file(two.path().join("gone.log")).unwrap();
        fs_err::write(two.path().join("new.log"), "new").unwrap();
        fs_err::write(two.path().join("new.txt"), "new").unwrap();
        let pushed = project.commit(two.path(), two.how()).await;
        let names = |paths: &[RelativePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&pushed.changes.created), ["new.txt"], "{rung}");
        assert_eq!(names(&pushed.changes.modified), [IGNORE_FILE, "a.log"], "{rung}");
        assert_eq!(names(&pushed.changes.deleted), ["gone.log"], "{rung}");
        let three = project.materialize().await.unwrap();
        assert!(three.path().join("b.log").exists() && !three.path().join("new.log").exists(), "{rung}");
    }
}

#[tokio::test]
async fn new_files_of_an_ignored_directory_are_ignored_also_where_the_version_has_others() {
    for rung in RUNGS {
        let mut project = project(rung, &[("dir/kept", "kept"), ("remade/kept", "kept"), (IGNORE_FILE, "")]).await;
        let two = project.materialize().await.unwrap();
        write_rules(two.path(), &["dir/", "remade/", "!new"]);
        fs_err::write(two.path().join("dir/kept"), "edited").unwrap();
        fs_err::write(two.path().join("dir/new"), "new").unwrap();
        fs_err::remove_dir_all(two.path().join("remade")).unwrap();
        fs_err::create_dir_all(two.path().join("remade/sub")).unwrap();
        fs_err::write(two.path().join("remade/kept"), "again").unwrap();
        fs_err::write(two.path().join("remade/new"), "new").unwrap();
        let pushed = project.commit(two.path(), two.how()).await;
        let files: Vec<_> = files(&project).iter().map(ToString::to_string).collect();
        assert_eq!(files, [IGNORE_FILE, "dir/kept", "remade/kept"], "{rung}");
        assert_eq!(pushed.changes.modified.len(), 3, "{rung}");
        assert_eq!(pushed.dropped.ignored, 3, "{rung}: dir/new, remade/new, remade/sub");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_told_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    let project = Project::new();
    let stored = async || {
        let pushed = project.push(directory.path(), None).await.unwrap();
        let names: Vec<_> = pushed.changes.created.iter().map(ToString::to_string).collect();
        (names, pushed.flaws, pushed.dropped.ignored)
    };
    fs_err::write(at("x.o"), "").unwrap();
    fs_err::write(at("z"), "").unwrap();
    fs_err::write(at(IGNORE_FILE), "*.o\n[z-a]\n").unwrap();
    let (names, flaws, ignored) = stored().await;
    assert_eq!((names, ignored), (vec![IGNORE_FILE.to_owned(), "z".to_owned()], 1));
    assert!(matches!(&flaws[..], [IgnoreFlaw::Line { number: 2, .. }]), "{flaws:?}");

    fs_err::rename(at(IGNORE_FILE), at("rules")).unwrap();
    symlink("rules", at(IGNORE_FILE)).unwrap();
    let (names, flaws, ignored) = stored().await;
    assert_eq!((names.len(), &flaws[..], ignored), (4, &[IgnoreFlaw::NoFile][..], 0));
    fs::remove_file(at(IGNORE_FILE)).unwrap();
    fs::create_dir(at(IGNORE_FILE)).unwrap();
    let (names, flaws, _) = stored().await;
    assert_eq!((names.len(), &flaws[..]), (3, &[IgnoreFlaw::NoFile][..]));
    fs::remove_dir(at(IGNORE_FILE)).unwrap();
    let (names, flaws, _) = stored().await;
    assert_eq!((names.len(), &flaws[..]), (3, &[][..]));
}
