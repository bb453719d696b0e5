//! How fast a version becomes a workspace and a workspace a version, beside what people use otherwise, in one run.
//!
//! Every workspace is compared with its tree; a wrong one ends the run.

mod footprint;
mod node;
mod peers;
mod phases;
mod trees;
mod verdicts;

use std::path::PathBuf;

use anyhow::Result;
use drydock_worker::workspace::Rung;

use self::{footprint::Phase, peers::Peers, verdicts::Verdicts};

/// Measures materializing and pushing of workspaces, on each rung, beside cp, s5cmd and the AWS CLI
#[derive(Debug, clap::Parser)]
#[command(
    name = "drydock-bench-workspace",
    after_help = "Examples:\n  make bench-workspace\n  drydock-bench-workspace --directory /mnt/scratch --files 10000 --memory-files 0"
)]
pub struct Arguments {
    /// Directory for trees, workspaces and caches; its file system is what is measured
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// A real `node_modules` to measure with
    #[arg(long, value_name = "DIRECTORY")]
    node_modules: Option<PathBuf>,
    /// `s5cmd` to measure beside
    #[arg(long, value_name = "PROGRAM")]
    s5cmd: Option<PathBuf>,
    /// `aws` to measure beside
    #[arg(long, value_name = "PROGRAM")]
    aws: Option<PathBuf>,
    /// Rungs to measure; one that this machine refuses ends the run
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["erofs", "copy"])]
    rungs: Vec<Rung>,
    /// Files of the generated trees
    #[arg(long, value_delimiter = ',', default_values = ["10000", "50000"])]
    files: Vec<usize>,
    /// Files of the tree that is moved while memory is watched; 0 leaves it out
    #[arg(long, default_value_t = 170_000)]
    memory_files: usize,
    /// Does only this, in this process, and says how much memory it took
    #[arg(long, hide = true, value_enum, requires = "memory_tree")]
    memory_phase: Option<Phase>,
    /// The tree it has to do with
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    memory_tree: Option<PathBuf>,
}

/// Measures and prints; answers whether every bar was met.
///
/// # Errors
/// A result was wrong, or a server or a file is not there.
pub async fn run(arguments: Arguments) -> Result<bool> {
    if let (Some(phase), Some(tree)) = (arguments.memory_phase, &arguments.memory_tree) {
        return Box::pin(footprint::child(phase, &arguments.directory, tree)).await.map(|()| true);
    }
    let mut verdicts = Verdicts::default();
    let peers = Peers { s5cmd: arguments.s5cmd.clone(), aws: arguments.aws.clone() };
    let mut trees = Vec::new();
    for &files in &arguments.files {
        trees.push(trees::generated(&arguments.directory, files)?);
    }
    if let Some(path) = &arguments.node_modules {
        trees.push(trees::existing("node_modules", path)?);
    }
    for tree in &trees {
        verdicts.line(&format!("\n== {}: {} files, {} MB", tree.name, tree.files, tree.bytes / 1_000_000));
        let beside = peers.measure(tree, &arguments.directory, &verdicts)?;
        for &rung in &arguments.rungs {
            Box::pin(phases::measure(tree, rung, &arguments.directory, &beside, &mut verdicts)).await?;
        }
    }
    if arguments.memory_files > 0 {
        footprint::measure(&arguments.directory, arguments.memory_files, &mut verdicts)?;
    }
    Ok(verdicts.end())
}
