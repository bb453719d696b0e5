//! How fast a version becomes a workspace and a workspace a version, beside what people use otherwise, in one run.
//!
//! `make bench-workspace` starts a real S3 server, installs the peers (`s5cmd`, the AWS CLI) and runs this with a release build.
//! Every workspace is compared with its tree; a wrong one ends the run.
#![expect(clippy::print_stdout, reason = "a command line program's own words")]
#![expect(clippy::unwrap_used, reason = "a failure ends the benchmark, and says where")]

mod memory;
mod node;
mod peers;
mod phases;
mod report;
mod trees;

use std::path::PathBuf;

use clap::Parser as _;
use drydock_worker::workspace::Rung;

use self::{peers::Peers, report::Report};

/// Measures materializing and pushing of workspaces
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Directory for trees, workspaces and caches, emptied; its file system is what is measured
    #[arg(long)]
    directory: PathBuf,
    /// A real `node_modules` to measure with
    #[arg(long)]
    node_modules: Option<PathBuf>,
    /// `s5cmd` to measure beside
    #[arg(long)]
    s5cmd: Option<PathBuf>,
    /// `aws` to measure beside
    #[arg(long)]
    aws: Option<PathBuf>,
    /// Rungs to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["erofs", "copy"])]
    rungs: Vec<Rung>,
    /// Files of the generated trees
    #[arg(long, value_delimiter = ',', default_values = ["10000", "50000"])]
    files: Vec<usize>,
    /// Files of the tree that is moved while memory is watched; 0 leaves it out
    #[arg(long, default_value_t = 200_000)]
    memory_files: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Only moves a tree of this many files and says how much memory it took
    #[arg(long, hide = true)]
    memory_child: Option<usize>,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(files) = arguments.memory_child {
        return runtime.block_on(memory::child(&arguments.directory, files));
    }
    let mut report = Report::default();
    runtime.block_on(run(&arguments, &mut report));
    report.end();
    std::process::exit(i32::from(report.missed()));
}

async fn run(arguments: &Arguments, report: &mut Report) {
    let peers = Peers { s5cmd: arguments.s5cmd.clone(), aws: arguments.aws.clone() };
    let mut trees = Vec::new();
    for &files in &arguments.files {
        trees.push(trees::generated(&arguments.directory, files));
    }
    trees.extend(arguments.node_modules.as_ref().map(|path| trees::existing("node_modules", path)));
    for tree in &trees {
        println!("\n== {}: {} files, {} MB", tree.name, tree.files, tree.bytes / 1_000_000);
        let beside = peers.measure(tree, &arguments.directory).await;
        for &rung in &arguments.rungs {
            phases::measure(tree, rung, &arguments.directory, &beside, report).await;
        }
    }
    if arguments.memory_files > 0 {
        memory::measure(&arguments.directory, arguments.memory_files, report);
    }
}
