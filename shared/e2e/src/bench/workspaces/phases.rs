//! One tree on one rung: cold, warm, pushes, the next version.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use drydock_storage::Manifest;
use drydock_worker::workspace::{Materialized, Rung, Scratch};

use super::{
    node::Node,
    peers::{Beside, same},
    trees::Tree,
    verdicts::{Verdicts, median},
};

const COLD: usize = 3;
const WARM: usize = 11;
const VERSIONS: usize = 5;

pub(super) async fn measure(
    tree: &Tree,
    rung: Rung,
    directory: &Path,
    beside: &Beside,
    verdicts: &mut Verdicts,
) -> Result<()> {
    let storage = drydock_testing::storage(&drydock_testing::storage_config());
    let version = Node::new(directory, Rung::Copy, &storage).await?.import(&tree.path).await?;
    let title = |what: &str| format!("{}, {rung}: {what}", tree.name);

    let mut node = Node::new(directory, rung, &storage).await?;
    let mut times = Vec::new();
    for _ in 0..COLD {
        node = Node::new(directory, rung, &storage).await?;
        times.push(materialize(&node, &version, Some(tree)).await?);
    }
    let cold = median(times);
    verdicts.figure(rung.as_str(), "cold, from the S3 server on this machine", Some(cold));
    verdicts.faster(&title("cold, beside s5cmd cp"), cold, beside.s5cmd, 5.0);
    verdicts.faster(&title("cold, beside aws s3 sync"), cold, beside.aws, 20.0);

    let warm = repeat(&node, &version, Some(tree)).await?;
    verdicts.figure(rung.as_str(), "warm, the same version", Some(warm));
    if mounts(rung) {
        verdicts.at_most(&title("warm, the same version"), warm, Duration::from_millis(5));
    } else {
        verdicts.faster(&title("warm, beside cp -a"), warm, beside.copy, 1.0 / 1.3);
    }

    let scratch = node.scratch()?;
    let made = node.materialize(version.tree_id(), version.stored(), &scratch).await?;
    let began = Instant::now();
    let unchanged = node.push(&made, scratch.workspace(), &scratch).await?;
    verdicts.figure(rung.as_str(), "push, nothing changed", Some(began.elapsed()));
    ensure!(unchanged.written.is_none(), "nothing was changed");
    scratch.close().await?;

    let (mut pushing, mut unprepared, mut next) = (Vec::new(), Vec::new(), version);
    for round in 0..VERSIONS {
        let scratch = node.scratch()?;
        let made = node.materialize(next.tree_id(), next.stored(), &scratch).await?;
        let (pushed, time) = push(&node, &made, &scratch, tree, round).await?;
        scratch.close().await?;
        pushing.push(time);
        next = pushed;
        unprepared.push(materialize(&node, &next, None).await?);
    }
    let pushing = median(pushing);
    verdicts.figure(rung.as_str(), "push of 3 changed files", Some(pushing));
    verdicts.figure(rung.as_str(), "warm, a new version, not prepared", Some(median(unprepared)));
    let prepared = repeat(&node, &next, None).await?;
    verdicts.figure(rung.as_str(), "warm, a new version, prepared", Some(prepared));
    if mounts(rung) {
        verdicts.at_most(&title("push of 3 changed files"), pushing, Duration::from_millis(15));
        verdicts.at_most(&title("warm, a new version, prepared"), prepared, Duration::from_millis(30));
    }
    Ok(())
}

const fn mounts(rung: Rung) -> bool {
    matches!(rung, Rung::Erofs | Rung::Overlay)
}

/// How long a workspace takes; it is compared with `tree` afterwards.
async fn materialize(node: &Node, version: &Manifest, tree: Option<&Tree>) -> Result<Duration> {
    let scratch = node.scratch()?;
    let began = Instant::now();
    let made = node.materialize(version.tree_id(), version.stored(), &scratch).await?;
    let time = began.elapsed();
    if let Some(tree) = tree {
        ensure!(same(&tree.path, scratch.workspace()), "a workspace is not its tree");
    }
    drop(made);
    scratch.close().await?;
    Ok(time)
}

async fn repeat(node: &Node, version: &Manifest, mut tree: Option<&Tree>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..WARM {
        times.push(materialize(node, version, tree.take()).await?);
    }
    Ok(median(times))
}

/// Three files changed, as an edit does.
async fn push(
    node: &Node,
    made: &Arc<Materialized>,
    scratch: &Scratch,
    tree: &Tree,
    round: usize,
) -> Result<(Arc<Manifest>, Duration)> {
    for (number, name) in tree.some.iter().enumerate() {
        let path = scratch.workspace().join(name);
        let mut content = fs_err::read(&path)?;
        content.extend(format!("\n// changed, {round}.{number}\n").bytes());
        fs_err::write(&path, content)?;
    }
    let began = Instant::now();
    let pushed = node.push(made, scratch.workspace(), scratch).await?;
    let time = began.elapsed();
    ensure!(pushed.changes.modified.len() == tree.some.len() && pushed.changes.len() == tree.some.len());
    Ok((pushed.written.context("something was changed")?.manifest()?, time))
}
