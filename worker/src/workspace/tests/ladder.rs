//! The ladder: what a node allows is found by trying, and a rung that fails leaves the job to the next.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use drydock_domain::AttemptId;

use super::{Materializer, Project, Rung, loop_device::LoopDevice, oracle};
use crate::{
    mount,
    workspace::{Ladder, ScratchRoot},
};

async fn committed(project: &mut Project) -> oracle::Nodes {
    let one = tempfile::tempdir().unwrap();
    fs_err::create_dir(one.path().join("d")).unwrap();
    fs_err::write(one.path().join("d/f"), vec![b'x'; 300_000]).unwrap();
    fs_err::write(one.path().join("g"), "small").unwrap();
    project.commit(one.path(), None).await;
    oracle::read(one.path())
}

/// A ladder of everything a scratch directory allows, over a project's cache.
async fn ladder(project: &Project, scratch: &Path) -> (Ladder, ScratchRoot) {
    let root = ScratchRoot::open(scratch, 0).unwrap();
    let counters = prometheus::IntCounterVec::new(prometheus::Opts::new("downgrades", "d"), &["rung"]).unwrap();
    (Ladder::probe(project.node.materializer.cache(), &root, None, counters).await.unwrap(), root)
}

pub(super) fn ladder_of(rungs: &[Rung]) -> Ladder {
    let counters = prometheus::IntCounterVec::new(prometheus::Opts::new("downgrades", "d"), &["rung"]).unwrap();
    Ladder::given(rungs.to_vec(), counters)
}

#[tokio::test]
async fn this_machine_mounts() {
    let project = Project::new();
    let disk = tempfile::tempdir().unwrap();
    let (ladder, root) = ladder(&project, disk.path()).await;
    let rungs: Vec<Rung> = ladder.rungs().collect();
    assert!(rungs.starts_with(&[Rung::Erofs, Rung::Overlay]) && rungs.ends_with(&[Rung::Copy]), "{ladder:?}");
    assert_eq!(root.sweep().unwrap(), 0, "the trial leaves nothing");
}

#[tokio::test]
async fn what_a_node_refuses_is_said_in_the_kernels_words() {
    let project = Project::new();
    // An overlay cannot lie on an overlay, as a container's own file system is.
    let disk = tempfile::tempdir().unwrap();
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| disk.path().join(name));
    [&lower, &upper, &work, &merged].into_iter().for_each(|path| fs_err::create_dir(path).unwrap());
    let handles = [&lower, &upper, &work, &merged].map(|path| mount::handle(path).unwrap());
    mount::Mounting::of("overlay")
        .unwrap()
        .place("lowerdir", &handles[0])
        .place("upperdir", &handles[1])
        .place("workdir", &handles[2])
        .mount(&handles[3], rustix::mount::MountAttrFlags::empty())
        .unwrap();
    let (ladder, root) = ladder(&project, &merged).await;
    assert_eq!(ladder.rungs().collect::<Vec<_>>(), [Rung::Copy]);
    let reason = |rung| &ladder.refused().iter().find(|refused| refused.rung == rung).unwrap().reason;
    assert!(reason(Rung::Erofs).contains("overlay") && reason(Rung::Erofs).contains("upperdir"), "{ladder:?}");
    assert!(reason(Rung::Reflink).contains("Invalid cross-device link"), "{ladder:?}");
    drop((root, handles));
    mount::unmount(&merged).unwrap();
}

#[tokio::test]
async fn a_rung_that_fails_a_job_leaves_it_to_the_next() {
    let mut project = Project::on(Rung::Erofs);
    let expected = committed(&mut project).await;
    let disk = tempfile::tempdir().unwrap();
    let (ladder, root) = ladder(&project, disk.path()).await;
    let manifests =
        std::sync::Arc::new(drydock_storage::ManifestCache::new(1 << 20, drydock_storage::Limits::default()));
    let cache = project.node.materializer.cache().clone();
    let materializer = Materializer::new(cache, project.storage.clone(), manifests, ladder);
    let scratch = root.create(AttemptId::generate()).unwrap();
    // The layer cannot be made where there is something already.
    fs_err::write(scratch.layer(), "in the way").unwrap();
    let base = materializer.base(
        super::TENANT,
        project.head.as_ref().unwrap().tree_id(),
        project.head.as_ref().unwrap().stored(),
    );
    let made = materializer.materialize(Some(base), &scratch).await.unwrap();
    assert_eq!(made.rung, Some(Rung::Overlay), "the failed one took what was in the way with it");
    assert_eq!(oracle::read(scratch.workspace()), expected);
    let downgrades = [Rung::Erofs, Rung::Overlay].map(|rung| materializer.ladder().downgrades(rung));
    assert_eq!(downgrades, [1, 0]);
}

/// What one rung needs besides the version's contents may be too much where another's is not.
#[tokio::test]
async fn no_room_for_a_copied_tree_leaves_it_to_the_next() {
    let mut project = Project::new();
    let expected = committed(&mut project).await;
    let disk = tempfile::tempdir().unwrap();
    let metrics = crate::cache::CacheMetrics::register(&prometheus::Registry::new()).unwrap();
    // The contents take 75 blocks, a copy of the tree some more.
    let limits = crate::cache::CacheLimits { max_bytes: 100 * 4096, min_free: 0, max_pieces: u64::MAX };
    let cache =
        crate::cache::NodeCache::open(&disk.path().join("cache"), limits, project.storage.clone(), metrics).unwrap();
    project.node.materializer = Materializer::new(
        cache,
        project.storage.clone(),
        std::sync::Arc::new(drydock_storage::ManifestCache::new(1 << 20, drydock_storage::Limits::default())),
        ladder_of(&[Rung::Overlay, Rung::Copy]),
    );
    let workspace = project.materialize().await.unwrap();
    assert_eq!(workspace.materialized.rung, Some(Rung::Copy));
    assert_eq!(oracle::read(workspace.path()), expected);
}

/// Cancelled at any moment: what runs on other threads by then is waited for, and nothing of it stays.
#[tokio::test]
async fn giving_up_leaves_neither_mounts_nor_files() {
    for rung in [Rung::Copy, Rung::Overlay, Rung::Erofs] {
        let mut project = Project::on(rung);
        committed(&mut project).await;
        for microseconds in (0..4000).step_by(200) {
            let scratch = project.node.root.create(AttemptId::generate()).unwrap();
            let making = project.node.materializer.materialize(project.base(), &scratch);
            let _given_up =
                tokio::time::timeout(std::time::Duration::from_micros(microseconds), Box::pin(making)).await;
            let workspace = scratch.workspace().to_owned();
            scratch.close().await.unwrap();
            assert!(!workspace.exists(), "{rung}");
        }
        let workspace = project.materialize().await.unwrap();
        workspace.scratch.close().await.unwrap();
        assert_eq!(project.node.root.sweep().unwrap(), 0, "{rung}: nothing stays");
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        let scratch = project.node.root.path().to_str().unwrap().to_owned();
        assert!(!mounts.contains(&scratch), "{rung}: nothing is mounted");
    }
}

/// Without the right to mount, as in a restricted pod: the copying rungs do, and clean up.
#[test]
fn without_the_right_to_mount_workspaces_are_copied_and_removed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut project = Project::new();
    let expected = runtime.block_on(committed(&mut project));
    drop(runtime);
    let disk = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective &= !rustix::thread::CapabilitySet::SYS_ADMIN;
            rustix::thread::set_capabilities(None, sets).unwrap();
            // A runtime of its own: threads it starts inherit what this one may not do.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (ladder, root) = ladder(&project, disk.path()).await;
                assert_eq!(ladder.rungs().collect::<Vec<_>>(), [Rung::Copy], "{ladder:?}");
                drop(root);
                let workspace = project.materialize().await.unwrap();
                assert_eq!(oracle::read(workspace.path()), expected);
                let path = workspace.path().to_owned();
                workspace.scratch.close().await.unwrap();
                assert!(!path.exists());
            });
        });
        work.join().unwrap();
    });
}

/// A program's own limit of open files is often 1024.
#[tokio::test]
async fn many_changed_directories_take_few_open_files() {
    let mut project = Project::on(Rung::Erofs);
    let one = tempfile::tempdir().unwrap();
    for number in 0..400 {
        let directory = one.path().join(format!("d{number}"));
        fs_err::create_dir(&directory).unwrap();
        fs_err::write(directory.join("f"), "f").unwrap();
    }
    project.commit(one.path(), None).await;
    let workspace = project.materialize().await.unwrap();
    (0..400).for_each(|number| fs_err::write(workspace.path().join(format!("d{number}/g")), "g").unwrap());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(200), maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let pushed = project.commit(workspace.path(), workspace.how()).await;
    assert_eq!(pushed.changes.created.len(), 400);
}

/// An agent that may unmount: what it changed cannot be told, and must not be taken for a deletion of everything.
#[tokio::test]
async fn a_workspace_that_was_unmounted_is_no_version() {
    let mut project = Project::on(Rung::Erofs);
    committed(&mut project).await;
    let workspace = project.materialize().await.unwrap();
    fs_err::write(workspace.path().join("new"), "new").unwrap();
    mount::unmount(workspace.path()).unwrap();
    let error = project.push(workspace.path(), workspace.how()).await.unwrap_err();
    assert!(matches!(error, crate::workspace::WorkspaceError::NotTheMount), "{error:?}");
}

#[test]
fn where_blocks_are_shared_what_was_pushed_is_what_is_materialized() {
    let xfs = LoopDevice::xfs();
    super::round_trip::round_trips_in(|| tempfile::tempdir_in(xfs.path()).unwrap(), Rung::Reflink, 40);
}

#[tokio::test]
async fn shared_blocks_take_no_space_and_are_not_written_through() {
    let xfs = LoopDevice::xfs();
    let mut project = Project::at(tempfile::tempdir_in(xfs.path()).unwrap(), Rung::Reflink);
    let one = tempfile::tempdir().unwrap();
    fs_err::write(one.path().join("big"), vec![7; 20 << 20]).unwrap();
    project.commit(one.path(), None).await;
    let first = project.materialize().await.unwrap();
    rustix::fs::sync();
    let free = || {
        let stat = rustix::fs::statvfs(xfs.path()).unwrap();
        stat.f_bfree * stat.f_frsize
    };
    let before = free();
    let second = project.materialize().await.unwrap();
    rustix::fs::sync();
    assert!(before - free() < 5 << 20, "a second workspace took {} bytes", before - free());
    let big = second.path().join("big");
    assert_eq!(fs::metadata(&big).unwrap().size(), 20 << 20);
    fs_err::write(&big, "changed").unwrap();
    assert_eq!(fs_err::read(first.path().join("big")).unwrap(), vec![7; 20 << 20]);
    let third = project.materialize().await.unwrap();
    assert_eq!(fs_err::read(third.path().join("big")).unwrap(), vec![7; 20 << 20]);
    for workspace in [first, second, third] {
        workspace.scratch.close().await.unwrap();
    }
}
