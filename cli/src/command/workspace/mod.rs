//! `drydock workspace …`: who holds a project's workspace, and what lets daemons in.

mod token;

use std::time::Duration;

use clap::{Args, Subcommand};
use drydock_client::{Document, views::Workspace};

use super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Show whether a daemon holds a project's workspace
    #[command(after_help = "Example:\n  drydock workspace show PROJECT")]
    Show(OneArgs),
    /// List the tokens that let daemons in, newest first
    Tokens(token::ListArgs),
    /// Make a token that lets a daemon in, and write it, once
    Grant(token::CreateArgs),
    /// End tokens; daemons connected by them are cut off
    Revoke(token::RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The project
    project: String,
    #[command(flatten)]
    patience: Patience,
}

impl WorkspaceCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Show(args) => args.patience.timeout,
            Self::Tokens(args) => args.patience.timeout,
            Self::Grant(args) => args.patience.timeout,
            Self::Revoke(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: WorkspaceCommand) -> Result<Exit, CliError> {
    match command {
        WorkspaceCommand::Show(args) => show(context, &args.project).await,
        WorkspaceCommand::Tokens(args) => token::list(context, args).await,
        WorkspaceCommand::Grant(args) => token::create(context, args).await,
        WorkspaceCommand::Revoke(args) => token::revoke(context, args).await,
    }
}

async fn show(context: &Context, project: &str) -> Result<Exit, CliError> {
    let found: Document<Workspace> = context.client()?.get(["workspaces", project]).document().await?;
    context.output.answer(&found.raw, || describe(&found.value)).map(|()| Exit::Ok)
}

fn describe(workspace: &Workspace) -> String {
    let mut table = Table::new(&["workspace", &workspace.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    let status = match workspace.status.as_str() {
        "connected" => "daemon connected".to_owned(),
        "syncing" => "syncing...".to_owned(),
        _ => match workspace.last_seen_at {
            Some(at) => format!("daemon offline, last seen {}", time(at)),
            None => "no daemon was ever connected".to_owned(),
        },
    };
    field("status", status);
    let jobs = if workspace.takes_jobs { "run in the daemon's folder" } else { "run on the fleet" };
    field("jobs", jobs.to_owned());
    if let Some(at) = workspace.connected_at {
        field("connected", time(at));
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: &str, takes_jobs: bool, seen: bool) -> String {
        let last_seen_at = seen.then(|| "2026-01-02T03:04:05Z".parse().unwrap());
        let (id, status) = ("w".to_owned(), status.to_owned());
        describe(&Workspace { id, status, takes_jobs, connected_at: None, last_seen_at })
    }

    #[test]
    fn a_workspace_is_told_as_people_say_it() {
        assert!(text("connected", true, true).contains("daemon connected"));
        assert!(text("syncing", true, true).contains("syncing..."));
        let offline = text("disconnected", true, true);
        assert!(offline.contains("daemon offline, last seen 2026-01-02") && offline.contains("the daemon's folder"));
        assert!(text("disconnected", false, false).contains("no daemon was ever connected"));
    }
}
