//! One tree on one rung: cold, warm, the next version, pushes.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use drydock_storage::Manifest;
use drydock_worker::workspace::{Materialized, Rung, Scratch};

use crate::{
    node::Node,
    peers::{Beside, same},
    report::{Report, median, milliseconds},
    trees::Tree,
};

const REPEATS: usize = 11;

pub(crate) async fn measure(tree: &Tree, rung: Rung, directory: &Path, beside: &Beside, report: &mut Report) {
    let storage = drydock_testing::storage(&drydock_testing::storage_config());
    let version = Node::new(directory, Rung::Copy, &storage).await.import(&tree.path).await;
    let mounts = matches!(rung, Rung::Erofs | Rung::Overlay);
    let say = |what: &str, time: Duration| println!("{rung:8} {what:44} {:>12}", milliseconds(time));
    let title = |what: &str| format!("{}, {rung}: {what}", tree.name);

    let mut cold = Vec::new();
    let mut node = Node::new(directory, rung, &storage).await;
    for _ in 0..3 {
        node = Node::new(directory, rung, &storage).await;
        let scratch = node.scratch();
        let began = Instant::now();
        let _made = node.materialize(version.id(), &scratch).await;
        cold.push(began.elapsed());
        assert!(same(&tree.path, scratch.workspace()), "a cold workspace is not its tree");
        scratch.close().await.unwrap();
    }
    let cold = median(cold);
    say("cold, from the S3 server on this machine", cold);
    report.faster(&title("cold, beside s5cmd cp"), cold, beside.s5cmd, 5.0);
    report.faster(&title("cold, beside aws s3 sync"), cold, beside.aws, 20.0);

    let warm = warm(&node, &version, tree).await;
    say("warm, the same version", warm);
    if mounts {
        report.at_most(&title("warm, the same version"), warm, Duration::from_millis(5));
    } else {
        report.faster(&title("warm, beside cp -a"), warm, beside.copy, 1.0 / 1.3);
    }

    let scratch = node.scratch();
    let made = node.materialize(version.id(), &scratch).await;
    unchanged(&node, &made, &scratch, &storage_requests(&node)).await.into_iter().for_each(|time| say("push, nothing changed", time));
    let next = push(&node, &made, &scratch, tree, &title, report).await;
    scratch.close().await.unwrap();
    next_version(&node, &next, &title, report).await;
}

async fn warm(node: &Node, version: &Arc<Manifest>, tree: &Tree) -> Duration {
    let mut times = Vec::new();
    for turn in 0..REPEATS {
        let scratch = node.scratch();
        let began = Instant::now();
        let _made = node.materialize(version.id(), &scratch).await;
        times.push(began.elapsed());
        if turn == 0 {
            assert!(same(&tree.path, scratch.workspace()), "a warm workspace is not its tree");
        }
        scratch.close().await.unwrap();
    }
    median(times)
}

fn storage_requests(_node: &Node) -> impl Fn() -> u64 + use<> {
    || 0
}

async fn unchanged(node: &Node, made: &Arc<Materialized>, scratch: &Scratch, _requests: &impl Fn() -> u64) -> Option<Duration> {
    let began = Instant::now();
    let pushed = node.push(made, scratch.workspace(), &scratch.packs()).await;
    let time = began.elapsed();
    assert!(pushed.written.is_none(), "nothing was changed");
    Some(time)
}

/// Three files changed, as an edit does.
async fn push(
    node: &Node,
    made: &Arc<Materialized>,
    scratch: &Scratch,
    tree: &Tree,
    title: &impl Fn(&str) -> String,
    report: &mut Report,
) -> Arc<Manifest> {
    for (number, name) in tree.some.iter().enumerate() {
        let path = scratch.workspace().join(name);
        let mut content = fs_err::read(&path).unwrap();
        content.extend(format!("\n// changed, {number}\n").bytes());
        fs_err::write(&path, content).unwrap();
    }
    let mut times = Vec::new();
    let mut next = None;
    for _ in 0..5 {
        let began = Instant::now();
        let pushed = node.push(made, scratch.workspace(), &scratch.packs()).await;
        times.push(began.elapsed());
        assert_eq!(pushed.changes.modified.len(), tree.some.len());
        assert_eq!(pushed.changes.len(), tree.some.len());
        next = pushed.written;
    }
    let time = median(times);
    println!("         {:44} {:>12}", "push of 3 changed files", milliseconds(time));
    report.at_most(&title("push of 3 changed files, S3 included"), time, Duration::from_millis(15));
    next.unwrap().manifest
}

/// The version that was pushed here, on this node: as the next job finds it when nothing was prepared.
async fn next_version(node: &Node, next: &Arc<Manifest>, title: &impl Fn(&str) -> String, report: &mut Report) {
    let scratch = node.scratch();
    let began = Instant::now();
    let _made = node.materialize(next.id(), &scratch).await;
    let time = began.elapsed();
    scratch.close().await.unwrap();
    println!("         {:44} {:>12}", "warm, a new version, not prepared", milliseconds(time));
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let scratch = node.scratch();
        let began = Instant::now();
        let _made = node.materialize(next.id(), &scratch).await;
        times.push(began.elapsed());
        scratch.close().await.unwrap();
    }
    report.at_most(&title("warm, a new version, prepared in the background"), median(times), Duration::from_millis(30));
}
