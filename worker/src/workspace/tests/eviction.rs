//! Eviction while jobs claim: on a cache with room for about two trees, many jobs take one of several, again and again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use drydock_storage::Manifest;

use super::{Node, Project, Rung, WorkspaceError, oracle};
use crate::cache::CacheError;

const VERSIONS: u8 = 5;
const JOBS: usize = 8;
/// Workspaces each job makes.
const ROUNDS: usize = 12;
/// What a version's contents take: [`files`] of three blocks each, and one of 400.
const VERSION_BYTES: u64 = (FILES as u64 * 3 + 400) * 4096;
const FILES: usize = 40;

#[test]
fn what_a_job_claims_is_whole_whatever_is_evicted_meanwhile() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    for rung in [Rung::Erofs, Rung::Overlay, Rung::Copy] {
        runtime.block_on(Box::pin(race(rung)));
    }
}

async fn race(rung: Rung) {
    let mut project = Project::new();
    let mut versions = Vec::new();
    for seed in 0..VERSIONS {
        versions.push(Arc::new(version(&mut project, seed).await));
    }
    let disk = tempfile::tempdir().unwrap();
    // A copied tree takes its size again.
    let most = VERSION_BYTES * if rung == Rung::Overlay { 9 } else { 5 } / 2;
    let node = Arc::new(Node::bounded(disk.path(), rung, &project.storage, most));
    let full = Arc::new(AtomicU64::new(0));
    let jobs = (0..JOBS).map(|job| {
        let (node, versions, full) = (Arc::clone(&node), versions.clone(), Arc::clone(&full));
        drydock_runtime::tasks::spawn("job", async move {
            for round in 0..ROUNDS {
                // Each in an order of its own, so that they meet in all ways.
                let version = Arc::clone(&versions[(job * 3 + round * (job % 4 + 1)) % versions.len()]);
                while !read_back(&node, version.clone()).await {
                    full.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await.unwrap();
    }
    assert!(node.materializer.cache().evicted() > u64::from(VERSIONS), "{rung}: hardly anything was evicted");
    assert!(node.materializer.cache().counted() <= most);
    node.assert_clean().await;
    println!("{rung}: full {}, evicted {}", full.load(Ordering::Relaxed), node.materializer.cache().evicted());
}

/// Whether there was room: any other failure fails the test.
async fn read_back(node: &Node, version: Arc<(Arc<Manifest>, oracle::Nodes)>) -> bool {
    let (manifest, expected) = &*version;
    match node.materialize(manifest).await {
        Ok(workspace) => {
            assert!(oracle::read(workspace.path()) == *expected, "a workspace reads as another version");
            workspace.scratch.close().await.unwrap();
            true
        }
        Err(WorkspaceError::Cache(CacheError::Full { .. })) => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn version(project: &mut Project, seed: u8) -> (Arc<Manifest>, oracle::Nodes) {
    let directory = tempfile::tempdir().unwrap();
    let mut noise = blake3::Hasher::new().update(&[seed]).finalize_xof();
    let mut write = |name: String, len: usize| {
        let mut content = vec![0; len];
        noise.fill(&mut content);
        fs_err::write(directory.path().join(name), content).unwrap();
    };
    (0..FILES).for_each(|number| write(format!("f{number}"), 10_000));
    write("big".to_owned(), 400 * 4096);
    project.head = None;
    project.commit(directory.path(), None).await;
    (project.head.clone().unwrap(), oracle::read(directory.path()))
}
