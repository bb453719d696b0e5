//! `drydock pull`, `drydock project pull`: a version into a folder, as it comes off the line.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use drydock_client::Client;
use tokio::time::Instant;

use super::super::{Context, Patience};
use crate::{
    CliError, Exit,
    archive::{self, Git, Totals},
    output::{Output, Progress, Unit, mebibytes, seconds},
};

/// How long each part of the archive may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock pull PROJECT my-folder
  drydock project pull PROJECT --version 3 --path src /tmp/three

Writes the files, links and directories of a version. The folder is made where it is missing, and must be
empty. With --force what the version has replaces what is there, and the rest stays. Links are never
followed, neither the version's nor the folder's. Nothing named .git is written, in any case of letters:
its hooks and settings were made by an agent, and your next git command would run them. With --with-git
it is. A push of the folder removes from the project what was left out, unless it has --exclude .git.")]
pub(in crate::command) struct PullArgs {
    /// The project
    project: String,
    /// The folder
    dir: PathBuf,
    /// A version, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Only this file, or this directory and what is below it
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Write into a folder that is not empty
    #[arg(long)]
    force: bool,
    /// Write what is named .git as well: git runs what its hooks and settings say
    #[arg(long)]
    with_git: bool,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

impl PullArgs {
    const fn git(&self) -> Git {
        if self.with_git { Git::Written } else { Git::LeftOut }
    }
}

pub(in crate::command) async fn run(context: &Context, args: PullArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let started = Instant::now();
    prepare(&args)?;
    let version = match args.version {
        Some(version) => version,
        None => client.project(&args.project).await?.value.head_version,
    };
    let totals = fetch(&client, &context.output, &args, version).await?;
    let (files, size) = (totals.files, mebibytes(totals.bytes));
    let took = seconds(started.elapsed().as_secs_f64());
    let dir = args.dir.display();
    context.output.note(&format!("wrote version {version} to {dir}: {files} files, {size} in {took}"));
    if totals.ignored > 0 {
        let left_out = totals.ignored;
        context.output.note(&format!(
            "left out {left_out} entries of .git, whose hooks and settings git would run: --with-git writes them, \
             and a push without --exclude .git removes them"
        ));
    }
    let told = serde_json::json!({"version": version, "files": files, "bytes": totals.bytes});
    context.output.answer(told.to_string().as_bytes(), || version.to_string()).map(|()| Exit::Ok)
}

fn prepare(args: &PullArgs) -> Result<(), CliError> {
    fs_err::create_dir_all(&args.dir).map_err(CliError::Files)?;
    let empty = fs_err::read_dir(&args.dir).map_err(CliError::Files)?.next().is_none();
    if empty || args.force { Ok(()) } else { Err(CliError::Occupied(args.dir.clone())) }
}

async fn fetch(client: &Client, output: &Arc<Output>, args: &PullArgs, version: u64) -> Result<Totals, CliError> {
    let call = client.get(["projects", args.project.as_str(), "archive"]);
    let mut response = call.query("version", version).query_opt("path", args.path.as_ref()).send().await?;
    let progress = Progress::begin(output, "fetched", Unit::Bytes, response.content_length());
    let (mut feed, thread) = archive::unpack_stream(args.dir.clone(), args.git());
    let broken = loop {
        match client.chunk(&mut response, LIMIT).await {
            Ok(Some(part)) => {
                progress.add(part.len() as u64);
                // Whoever unpacks has stopped, and says why.
                if !feed.part(part).await {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    // Without its end said, an archive that broke off counts as broken.
    feed.end(broken.is_none()).await;
    let written = thread.await.map_err(|panic| CliError::Files(io::Error::other(panic)))?;
    match broken {
        Some(error) => Err(error.into()),
        None => written.map_err(CliError::Files),
    }
}
