//! What counts as a change, and what is read to find out.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    time::{Duration, Instant},
};

use drydock_domain::{Digest, EntryKind, IgnoreRules};
use drydock_files::open_directory;
use drydock_storage::{Limits, StorageErrorKind};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, stat};

use super::{Baseline, Project, WorkspaceError, round_trip::forge, without_privileges};
use crate::workspace::{
    Dropped, Rung,
    detect::{FileStat, walk},
    push,
};

fn write(top: &Path, name: &str, content: &str) {
    fs_err::write(top.join(name), content).unwrap();
}

async fn project(rung: Rung, files: &[(&str, &str)]) -> Project {
    let mut project = Project::on(rung);
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| write(directory.path(), name, content));
    project.commit(directory.path(), None).await;
    project
}

#[tokio::test]
async fn nothing_done_or_undone_is_no_change_and_stores_nothing() {
    let project = project(Rung::Copy, &[("a", "one"), ("b", "two")]).await;
    let directory = project.materialize().await.unwrap();
    let announced = project.announced.0.lock().unwrap().len();
    let a = directory.path().join("a");
    let unchanged = async || {
        let pushed = project.push(directory.path(), directory.how()).await.unwrap();
        assert!(pushed.written.is_none() && pushed.changes.is_empty());
        assert_eq!(project.announced.0.lock().unwrap().len(), announced);
    };
    unchanged().await;
    // A touch; a rewrite; a mode there and back; delete and recreate; protocol files in their directory.
    fs::File::options().write(true).open(&a).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    unchanged().await;
    write(directory.path(), "a", "one");
    unchanged().await;
    let mode = fs::metadata(&a).unwrap().permissions();
    fs::set_permissions(&a, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&a, mode.clone()).unwrap();
    unchanged().await;
    fs::remove_file(&a).unwrap();
    write(directory.path(), "a", "one");
    fs::set_permissions(&a, mode).unwrap();
    unchanged().await;
    fs::create_dir(directory.path().join(".codex")).unwrap();
    write(directory.path(), ".codex/request.json", "{}");
    write(directory.path(), ".codex/result.json", "{}");
    unchanged().await;
}

#[tokio::test]
async fn what_a_walk_alone_tells_is_found() {
    let mut project = Project::new();
    let directory = tempfile::tempdir().unwrap();
    let (top, at) = (directory.path(), |name: &str| directory.path().join(name));
    let link = |target: &str| std::os::unix::fs::symlink(target, at("link")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    link("dir");
    project.commit(top, None).await;
    let changed = async || project.push(top, None).await.unwrap().written.is_some();
    assert!(!changed().await);
    let mode = fs::metadata(at("dir")).unwrap().permissions();
    fs::set_permissions(at("dir"), fs::Permissions::from_mode(0o711)).unwrap();
    assert!(changed().await, "a mode");
    fs::set_permissions(at("dir"), mode).unwrap();
    fs::remove_file(at("link")).unwrap();
    assert!(changed().await, "something gone");
    link("elsewhere");
    assert!(changed().await, "a target");
    fs::remove_file(at("link")).unwrap();
    fs::create_dir(at("link")).unwrap();
    assert!(changed().await, "a kind");
    fs::remove_dir(at("link")).unwrap();
    link("dir");
    fs::create_dir(at("new")).unwrap();
    assert!(changed().await, "something new");
    fs::remove_dir(at("new")).unwrap();
    write(top, ".codex", "");
    assert!(changed().await, "a file where the protocol has its directory");
    fs::remove_file(at(".codex")).unwrap();
    fs::create_dir(at(".codex")).unwrap();
    assert!(!changed().await);
    write(top, ".codex/notes", "");
    assert!(changed().await, "more than the protocol's files");
}

#[tokio::test]
async fn an_edit_that_hides_its_times_is_found() {
    let project = project(Rung::Copy, &[("a", "one"), ("b", "two")]).await;
    let directory = project.materialize().await.unwrap();
    // At once, within the racy window; the other one is untouched.
    forge(&directory.path().join("a"));
    let pushed = project.push(directory.path(), directory.how()).await.unwrap();
    assert_eq!(pushed.changes.modified, ["a".parse().unwrap()]);
    assert_eq!(pushed.changes.len(), 1);
}

/// The same, settled: nothing but the change time tells.
#[tokio::test]
async fn the_change_time_gives_an_edit_away() {
    let project = project(Rung::Copy, &[("a", "one")]).await;
    let directory = tempfile::tempdir().unwrap();
    let a = directory.path().join("a");
    write(directory.path(), "a", "one");
    let before = FileStat::from(&stat(&a).unwrap());
    let baseline = Baseline::new(vec![Some(before)], Duration::from_secs(1 << 40));
    let modified = fs::metadata(&a).unwrap().modified().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    // Until the file system's clock has moved on, which takes milliseconds on old kernels.
    while FileStat::from(&stat(&a).unwrap()) == before {
        assert!(Instant::now() < deadline, "no trace of the edit");
        write(directory.path(), "a", "two");
        fs::File::options().write(true).open(&a).unwrap().set_modified(modified).unwrap();
    }
    assert_eq!(fs::metadata(&a).unwrap().modified().unwrap(), modified);
    let pushed = project.push(directory.path(), Some(project.proven(baseline))).await.unwrap();
    assert_eq!(pushed.changes.modified, ["a".parse().unwrap()]);
}

/// A baseline that lies shows which files a push trusts it for: those are not read.
#[tokio::test]
async fn what_the_baseline_proves_is_not_read() {
    let project = project(Rung::Copy, &[("a", "one"), ("b", "two")]).await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a", "xxx");
    write(directory.path(), "b", "two");
    let stats = ["a", "b"].map(|name| Some(FileStat::from(&stat(directory.path().join(name)).unwrap())));
    let far = Duration::from_secs(1 << 40);
    let lying = Baseline::new(stats.to_vec(), far);
    let mode = |pushed: &super::Pushed| pushed.changes.modified.len();
    let trusted = project.push(directory.path(), Some(project.proven(lying))).await.unwrap();
    assert!(trusted.written.is_none(), "equal by the baseline");
    let racy = Baseline::new(stats.to_vec(), Duration::from_secs(1));
    assert_eq!(
        mode(&project.push(directory.path(), Some(project.proven(racy))).await.unwrap()),
        1,
        "too young to be trusted"
    );
    assert_eq!(mode(&project.push(directory.path(), None).await.unwrap()), 1);
}

#[tokio::test]
async fn a_changed_mode_uploads_no_content() {
    let mut project = project(Rung::Copy, &[("a", "one")]).await;
    let directory = project.materialize().await.unwrap();
    let announced = project.announced.0.lock().unwrap().len();
    fs::set_permissions(directory.path().join("a"), fs::Permissions::from_mode(0o4755)).unwrap();
    let pushed = project.commit(directory.path(), directory.how()).await;
    assert_eq!(pushed.changes.modified, ["a".parse().unwrap()]);
    let written = pushed.written.unwrap();
    assert!(written.packs().iter().all(|pack| !pack.new));
    assert_eq!(project.announced.0.lock().unwrap().len(), announced);
    let again = project.materialize().await.unwrap();
    assert_eq!(fs::metadata(again.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o755, "setuid dropped");
}

#[tokio::test]
async fn sockets_and_pipes_are_counted_and_left_out() {
    let project = Project::new();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "kept", "kept");
    drop(UnixListener::bind(directory.path().join("socket")).unwrap());
    rustix::fs::mknodat(CWD, directory.path().join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let pushed = project.push(directory.path(), None).await.unwrap();
    assert_eq!(pushed.dropped, Dropped { special: 2, ..Dropped::default() });
    assert_eq!(pushed.written.unwrap().size().0, 1);
}

#[tokio::test]
async fn hard_links_become_files_of_their_own() {
    let mut project = Project::new();
    let one = tempfile::tempdir().unwrap();
    write(one.path(), "a", "same");
    fs::hard_link(one.path().join("a"), one.path().join("b")).unwrap();
    project.commit(one.path(), None).await;
    let two = project.materialize().await.unwrap();
    write(two.path(), "a", "edited");
    assert_eq!(fs_err::read(two.path().join("b")).unwrap(), b"same");
}

/// Modes that would keep their owner out must keep neither the walk nor the reading out, and stay as they are.
#[test]
fn closed_files_and_directories_are_read_by_their_owner() {
    let top = tempfile::tempdir().unwrap();
    let directory = top.path().join("workspace");
    fs_err::create_dir_all(directory.join("closed/deeper")).unwrap();
    write(&directory, "closed/deeper/file", "inside");
    write(&directory, "secret", "unreadable");
    let set = |name: &str, mode| fs::set_permissions(directory.join(name), fs::Permissions::from_mode(mode)).unwrap();
    set("closed/deeper/file", 0);
    set("closed/deeper", 0o311);
    set("closed", 0);
    set("secret", 0o200);
    let manifest = without_privileges(|| {
        assert!(fs::read_dir(directory.join("closed")).is_err(), "the test has no rights it should not have");
        assert!(fs_err::read(directory.join("secret")).is_err());
        // Threads of this runtime are started by this one, so they have no more rights.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pushed = runtime.block_on(Project::new().push(&directory, None)).unwrap();
        pushed.written.unwrap().manifest().unwrap()
    });
    let file = |mode, content: &[u8]| EntryKind::File {
        size: content.len() as u64,
        mode: drydock_domain::Mode::new(mode),
        blob: Digest::of(content),
    };
    let dir = |mode| EntryKind::Dir { mode: drydock_domain::Mode::new(mode) };
    let expected = [
        ("closed", dir(0)),
        ("closed/deeper", dir(0o311)),
        ("closed/deeper/file", file(0, b"inside")),
        ("secret", file(0o200, b"unreadable")),
    ];
    let found = manifest.tree().entries().iter().map(|entry| (entry.path.to_str().unwrap(), entry.kind.clone()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let mode = |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("closed"), mode("closed/deeper"), mode("secret")), (0, 0o311, 0o200), "as they were");
}

#[tokio::test]
async fn too_many_and_too_long_are_typed_errors() {
    let project = Project::new();
    let directory = tempfile::tempdir().unwrap();
    (0..20).for_each(|at| write(directory.path(), &at.to_string(), ""));
    let nothing_known = project.proven(Baseline::untrusted());
    let options = super::PushOptions { limits: Limits::new(19, 100), ..project.options() };
    let error = push(&project.storage, options, &nothing_known, directory.path(), &project.announced).await;
    assert!(matches!(error.unwrap_err(), WorkspaceError::TooManyFiles { limit: 19 }));
    write(directory.path(), "big", &"x".repeat(101));
    let options = super::PushOptions { limits: Limits::new(30, 100), ..project.options() };
    let error = push(&project.storage, options, &nothing_known, directory.path(), &project.announced).await;
    assert!(matches!(error.unwrap_err(), WorkspaceError::Storage(e) if e.kind() == StorageErrorKind::TooLarge));

    // Twenty directories with names of 250 bytes make a path no tree can hold.
    let deep = tempfile::tempdir().unwrap();
    let mut handle = openat(CWD, deep.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        let name = "n".repeat(250);
        mkdirat(&handle, &name, Mode::RWXU).unwrap();
        handle = openat(&handle, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let error = project.push(deep.path(), None).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Path { .. }), "{error:?}");
}

#[test]
fn the_walk_is_sorted_and_complete() {
    let directory = tempfile::tempdir().unwrap();
    for at in 0..200 {
        let sub = directory.path().join(format!("d{}", at % 20));
        fs_err::create_dir_all(&sub).unwrap();
        fs_err::write(sub.join(OsStr::from_bytes(&[b'f', at])), [at]).ok();
    }
    let snapshot =
        walk(&open_directory(directory.path()).unwrap(), &[], &Baseline::untrusted(), &IgnoreRules::built_in(), 1000)
            .unwrap();
    assert!(snapshot.found.is_sorted_by(|a, b| a.path < b.path));
    // 0 and b'/' cannot be in a name.
    assert_eq!(snapshot.found.len(), 198 + 20);
}
