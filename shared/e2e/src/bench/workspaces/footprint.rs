//! Memory of a worker that has to do with a big tree: each phase in a process of its own, as after a restart.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use drydock_domain::Digest;
use drydock_storage::StorageConfig;
use drydock_worker::workspace::Rung;

use super::{node::Node, trees, verdicts::Verdicts};
use crate::bench::memory;

const BAR_MIB: f64 = 100.0;

/// What a process does while its memory is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// Stores a tree for the first time.
    Push,
    /// Materializes it with an empty cache.
    Cold,
    /// Finds its contents in the cache that the one before left, materializes it, and pushes one new file.
    Change,
}

impl Phase {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Idle, "idle"),
        (Self::Push, "push of everything"),
        (Self::Cold, "cold, with an empty cache"),
        (Self::Change, "restart, warm, push of one change"),
    ];
}

pub(super) fn measure(directory: &Path, files: usize, verdicts: &mut Verdicts) -> Result<()> {
    let directory = directory.join("memory");
    let tree = trees::generated(&directory.join("tree"), files)?;
    verdicts.line(&format!("\n== memory, {} files, {} MB", tree.files, tree.bytes / 1_000_000));
    for (phase, what) in Phase::ALL {
        let peak = in_a_process(phase, &directory, &tree.path)?;
        verdicts.value(&format!("memory, {files} files: {what}"), peak, "MiB", BAR_MIB);
    }
    Ok(())
}

/// MiB at most.
fn in_a_process(phase: Phase, directory: &Path, tree: &Path) -> Result<f64> {
    let name = clap::ValueEnum::to_possible_value(&phase).context("every phase has a name")?;
    let child = Command::new(std::env::current_exe()?)
        .arg("--directory")
        .arg(directory)
        .arg("--memory-tree")
        .arg(tree)
        .args(["--memory-phase", name.get_name()])
        .output()?;
    ensure!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    Ok(String::from_utf8_lossy(&child.stdout).trim().parse()?)
}

pub(super) async fn child(phase: Phase, directory: &Path, tree: &Path) -> Result<()> {
    match phase {
        Phase::Idle => drop(
            Node::new(directory, Rung::Erofs, &drydock_testing::storage(&drydock_testing::storage_config())).await?,
        ),
        Phase::Push => Version::push(directory, tree).await?,
        Phase::Cold => Version::read(directory)?.materialize(directory).await?,
        Phase::Change => Version::read(directory)?.change(directory).await?,
    }
    Verdicts::default().line(&format!("{:.1}", memory::memory(std::process::id())?.peak));
    Ok(())
}

/// The version the processes have to do with; a file tells it from one to the next.
struct Version {
    prefix: String,
    tree: Digest,
    manifest: Digest,
}

impl Version {
    const FILE: &str = "version";

    async fn push(directory: &Path, tree: &Path) -> Result<()> {
        let config = drydock_testing::storage_config();
        let node = Node::new(directory, Rung::Erofs, &drydock_testing::storage(&config)).await?;
        let manifest = node.import(tree).await?;
        let version = format!("{} {} {}", config.prefix, manifest.tree_id(), manifest.id());
        Ok(fs_err::write(directory.join(Self::FILE), version)?)
    }

    fn read(directory: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(directory.join(Self::FILE))?;
        let mut words = text.split(' ');
        let mut word = || words.next().context("a version has a prefix, a tree and a manifest");
        Ok(Self { prefix: word()?.to_owned(), tree: word()?.parse()?, manifest: word()?.parse()? })
    }

    async fn node(&self, directory: &Path) -> Result<Node> {
        let config = StorageConfig { prefix: self.prefix.clone(), ..drydock_testing::storage_config() };
        Node::at(&directory.join("node"), Rung::Erofs, &drydock_testing::storage(&config)).await
    }

    async fn materialize(self, directory: &Path) -> Result<()> {
        let node = self.node(directory).await?;
        let scratch = node.scratch()?;
        node.materialize(self.tree, self.manifest.into(), &scratch).await?;
        Ok(scratch.close().await?)
    }

    async fn change(self, directory: &Path) -> Result<()> {
        let node = self.node(directory).await?;
        let found = node.materializer.cache().restore()?;
        ensure!(found == 1, "the process before left one data file, not {found}");
        let scratch = node.scratch()?;
        let made = node.materialize(self.tree, self.manifest.into(), &scratch).await?;
        fs_err::write(scratch.workspace().join("new"), "new")?;
        let pushed = node.push(&made, scratch.workspace(), &scratch).await?;
        ensure!(pushed.changes.created.len() == 1, "one file is new, not {}", pushed.changes.created.len());
        node.prepare(pushed).await?;
        Ok(scratch.close().await?)
    }
}
