//! `kill -9` at every step, for real: a process of its own (this test binary, started again) is killed at a point, and the next
//! one on its directories finds nothing damaged, leaves nothing behind, and works.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use drydock_domain::Digest;
use drydock_storage::{Limits, Manifest, Storage, StorageConfig};

use super::{Node, Project, Rung, TENANT, oracle};
use crate::kill_point::{self, KillPoint};

/// What the child is to do, one word each, see [`Plan`].
const CHILD: &str = "DRYDOCK_TEST_KILL_CHILD";

/// Blocks of a version, about.
const VERSION_BYTES: u64 = 4 << 20;

/// All points that are on a rung's way.
fn points(rung: Rung) -> Vec<KillPoint> {
    use KillPoint::{
        Cleaning, Copying, Evicting, Filled, ImageMounted, ImageWritten, Indexed, Mounted, Scanning, Stored,
    };
    let of_it = match rung {
        Rung::Erofs => vec![ImageWritten, ImageMounted, Mounted],
        Rung::Overlay => vec![Copying, Mounted],
        Rung::Reflink | Rung::Copy => vec![Copying],
    };
    [vec![Filled, Indexed], of_it, vec![Scanning, Stored, Cleaning, Evicting]].concat()
}

fn rungs() -> [Rung; 3] {
    [Rung::Erofs, Rung::Overlay, Rung::Copy]
}

#[test]
fn a_successor_of_one_killed_anywhere_finds_nothing_wrong_from_an_image() {
    killed_at_each(Rung::Erofs);
}

#[test]
fn a_successor_of_one_killed_anywhere_finds_nothing_wrong_over_a_copied_tree() {
    killed_at_each(Rung::Overlay);
}

#[test]
fn a_successor_of_one_killed_anywhere_finds_nothing_wrong_by_copying() {
    killed_at_each(Rung::Copy);
}

fn killed_at_each(rung: Rung) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = drydock_testing::storage_config();
        let mut project = Project::over(drydock_testing::storage(&config), tempfile::tempdir().unwrap(), Rung::Copy);
        let versions = [version(&mut project, 1).await, version(&mut project, 2).await];
        let ids = [versions[0].0.id(), versions[1].0.id()];
        for point in points(rung) {
            let disk = tempfile::tempdir().unwrap();
            kill(&Plan { rung, point, prefix: config.prefix.clone(), ids }, disk.path());
            Box::pin(assert_recovers(disk.path(), rung, &mut project, &versions, point)).await;
        }
    });
}

/// A version of many files, different in all of them, as an object; and what it reads as.
async fn version(project: &mut Project, seed: u8) -> (Arc<Manifest>, oracle::Nodes) {
    let directory = tempfile::tempdir().unwrap();
    let mut noise = blake3::Hasher::new().update(&[seed]).finalize_xof();
    for number in 0..200 {
        let below = directory.path().join(format!("d{}", number % 10));
        fs_err::create_dir_all(&below).unwrap();
        let mut content = vec![0; 5_000];
        noise.fill(&mut content);
        fs_err::write(below.join(format!("f{number}")), content).unwrap();
    }
    let mut content = vec![0; 2 << 20];
    noise.fill(&mut content);
    fs_err::write(directory.path().join("big"), content).unwrap();
    project.head = None;
    project.commit(directory.path(), None).await;
    (project.head.clone().unwrap(), oracle::read(directory.path()))
}

/// Starts the child on `disk`, and kills it where it waits for that.
fn kill(plan: &Plan, disk: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workspace::tests::kills::child", "--ignored", "--nocapture"])
        .env(CHILD, plan.words())
        .current_dir(disk)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let reached = format!("{}{:?}", kill_point::REACHED, plan.point);
    let is_there = said.into_iter().any(|line| line.contains(&reached));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(is_there, "{:?} was not reached: {}", plan.point, String::from_utf8_lossy(&output.stderr));
}

async fn assert_recovers(
    disk: &Path,
    rung: Rung,
    project: &mut Project,
    versions: &[(Arc<Manifest>, oracle::Nodes)],
    point: KillPoint,
) {
    println!("{rung}, {point:?}");
    let node = Node::at(disk, rung, &project.storage);
    node.root.sweep().unwrap();
    node.materializer.cache().restore().unwrap();
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(disk.to_str().unwrap()), "mounts are left");
    node.assert_clean().await;
    for (version, expected) in versions {
        let workspace = node.materialize(version).await.unwrap();
        assert_eq!(oracle::read(workspace.path()), *expected, "what is read is what was stored");
        fs_err::write(workspace.path().join("d3/after"), "after").unwrap();
        project.head = Some(Arc::clone(version));
        let pushed = project.push(workspace.path(), workspace.how()).await.unwrap();
        assert_eq!(pushed.changes.len(), 1);
        workspace.scratch.close().await.unwrap();
    }
    node.assert_clean().await;
}

/// What the child does.
struct Plan {
    rung: Rung,
    point: KillPoint,
    prefix: String,
    /// Of the manifests.
    ids: [Digest; 2],
}

impl Plan {
    fn words(&self) -> String {
        let Self { rung, point, prefix, ids: [first, second] } = self;
        format!("{rung} {point:?} {prefix} {first} {second}")
    }

    fn read(words: &str) -> Self {
        let [rung, point, prefix, first, second] = words.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let rung = rungs().into_iter().find(|known| known.as_str() == rung).unwrap();
        let point = points(rung).into_iter().find(|known| format!("{known:?}") == point).unwrap();
        Self { rung, point, prefix: prefix.to_owned(), ids: [first, second].map(|id| id.parse().unwrap()) }
    }
}

#[test]
#[ignore = "started by the tests above, and killed"]
fn child() {
    let plan = Plan::read(&drydock_testing::setting(CHILD));
    let storage =
        drydock_testing::storage(&StorageConfig { prefix: plan.prefix.clone(), ..drydock_testing::storage_config() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(Box::pin(go(plan, storage)));
    panic!("the point was not reached");
}

/// A job, and another one whose version has no room beside the first one's.
async fn go(Plan { rung, point, ids, .. }: Plan, storage: Storage) {
    let copies = if rung == Rung::Overlay { 2 } else { 1 };
    let disk = std::env::current_dir().unwrap();
    let node = Node::bounded(&disk, rung, &storage, copies * VERSION_BYTES);
    let mut versions = Vec::new();
    for id in ids {
        versions.push(Manifest::fetch(&storage, TENANT, id, Limits::default()).await.unwrap());
    }
    kill_point::arm(point);
    let workspace = node.materialize(&versions[0]).await.unwrap();
    fs_err::write(workspace.path().join("d3/new"), vec![9; 100_000]).unwrap();
    fs_err::remove_dir_all(workspace.path().join("d4")).unwrap();
    let mut project = Project::over(storage.clone(), tempfile::tempdir_in(&disk).unwrap(), Rung::Copy);
    (project.head, project.inline_max) = (Some(Arc::clone(&versions[0])), 0);
    project.push(workspace.path(), workspace.how()).await.unwrap();
    workspace.scratch.close().await.unwrap();
    let next = node.materialize(&versions[1]).await.unwrap();
    next.scratch.close().await.unwrap();
}
