//! `drydock project …`

mod by_hand;
mod create;
pub(super) mod diff;
pub(super) mod files;
pub(super) mod fork;
mod import;
pub(super) mod pull;
pub(super) mod push;
mod read;
pub(super) mod restore;
mod set;
pub(super) mod versions;

use std::time::Duration;

use clap::{Args, Subcommand};
use drydock_client::views::Project;
use tokio::time::Instant;

use super::{Context, Patience, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Create a project; its agent starts on the instruction at once
    Create(create::CreateArgs),
    /// Create a project from a directory or an archive; no agent runs
    Import(import::ImportArgs),
    /// List projects, newest first
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// Show a project
    Show(ShowArgs),
    /// List a version's files
    Files(files::FilesArgs),
    /// Write a file to standard output, byte for byte
    Cat(read::CatArgs),
    /// Show what changed between two versions, as a patch
    Diff(diff::DiffArgs),
    /// List versions, newest first
    Versions(versions::VersionsArgs),
    /// Change a project's instruction, agent, pool, labels or least isolation
    Set(set::SetArgs),
    /// Delete a project: its jobs are cancelled at once, its files are gone for good a day later
    #[command(after_help = "Example:\n  drydock project rm PROJECT")]
    Rm(ShowArgs),
    /// Make the files of an older version the newest again
    Restore(restore::RestoreArgs),
    /// Make a project of a version
    Fork(fork::ForkArgs),
    /// Write a version into a folder
    Pull(pull::PullArgs),
    /// Make a folder the next version; only what differs is sent
    Push(push::PushArgs),
    /// Put one file, as the next version
    Put(by_hand::PutArgs),
    /// Delete one file, as the next version
    RmFile(by_hand::RemoveFileArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock project ls --limit 10")]
pub(super) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock project show 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90")]
pub(super) struct ShowArgs {
    /// The project
    project: String,
    #[command(flatten)]
    patience: Patience,
}

impl ProjectCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Import(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Show(args) | Self::Rm(args) => args.patience.timeout,
            Self::Files(args) => args.patience.timeout,
            Self::Cat(args) => args.patience.timeout,
            Self::Diff(args) => args.patience.timeout,
            Self::Versions(args) => args.patience.timeout,
            Self::Restore(args) => args.patience.timeout,
            Self::Set(args) => args.patience.timeout,
            Self::Fork(args) => args.patience.timeout,
            Self::Pull(args) => args.patience.timeout,
            Self::Push(args) => args.patience.timeout,
            Self::Put(args) => args.patience.timeout,
            Self::RmFile(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(
    context: &Context,
    command: ProjectCommand,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    match command {
        ProjectCommand::Create(args) => create::run(context, args, deadline).await,
        ProjectCommand::Import(args) => import::run(context, args).await,
        ProjectCommand::Ls(args) => list(context, args).await,
        ProjectCommand::Show(args) => show(context, args).await,
        ProjectCommand::Files(args) => files::run(context, args).await,
        ProjectCommand::Cat(args) => read::run(context, args).await,
        ProjectCommand::Diff(args) => diff::run(context, args).await,
        ProjectCommand::Versions(args) => versions::list(context, args).await,
        ProjectCommand::Rm(args) => remove(context, &args.project).await,
        ProjectCommand::Restore(args) => restore::run(context, args).await,
        ProjectCommand::Set(args) => set::run(context, args).await,
        ProjectCommand::Fork(args) => fork::run(context, args).await,
        ProjectCommand::Pull(args) => pull::run(context, args).await,
        ProjectCommand::Push(args) => push::run(context, args).await,
        ProjectCommand::Put(args) => by_hand::put(context, args).await,
        ProjectCommand::RmFile(args) => by_hand::remove(context, args).await,
    }
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let table = Table::new(&["PROJECT", "STATUS", "AGENT", "VERSION", "CREATED", "INSTRUCTION"]);
    let row = |project: &Project| {
        vec![
            project.id.clone(),
            project.status.clone(),
            project.agent.clone(),
            project.head_version.to_string(),
            time(project.created_at),
            project.instruction.clone(),
        ]
    };
    super::list::show(context, args.paging, || client.get(["projects"]), table, row).await
}

async fn show(context: &Context, args: ShowArgs) -> Result<Exit, CliError> {
    let project = context.client()?.project(&args.project).await?;
    context.output.answer(&project.raw, || describe(&project.value)).map(|()| Exit::Ok)
}

async fn remove(context: &Context, id: &str) -> Result<Exit, CliError> {
    context.client()?.delete_project(id).await?;
    context.output.note(&format!("deleted project {id}"));
    Ok(Exit::Ok)
}

fn describe(project: &Project) -> String {
    let mut table = Table::new(&["project", &project.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("status", project.status.clone());
    field("instruction", project.instruction.clone());
    if let Some(summary) = &project.summary {
        field("summary", summary.clone());
    }
    field("agent", project.agent.clone());
    field("pool", project.pool.clone());
    for (name, value) in &project.labels {
        field("label", format!("{name}={value}"));
    }
    if let Some(isolation) = &project.min_isolation {
        field("isolation", format!("at least {isolation}"));
    }
    field("version", project.head_version.to_string());
    if let Some(url) = &project.preview_url {
        field("preview", url.clone());
    }
    field("created", time(project.created_at));
    field("updated", time(project.updated_at));
    table.render()
}
