//! `drydock session …`

mod list;
mod start;
mod stop;

use std::time::Duration;

use clap::{Args, Subcommand};
use drydock_client::{Document, views::Session};

use super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Start a server on a project's workspace, and wait until it takes connections
    Start(start::StartArgs),
    /// List sessions, newest first; those that are over with --ended
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Show a session
    #[command(after_help = "Example:\n  drydock session show SESSION")]
    Show(OneArgs),
    /// End sessions; what was changed becomes a version
    #[command(visible_alias = "rm")]
    Stop(stop::StopArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The session
    session: String,
    #[command(flatten)]
    patience: Patience,
}

impl SessionCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Start(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Show(args) => args.patience.timeout,
            Self::Stop(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: SessionCommand) -> Result<Exit, CliError> {
    match command {
        SessionCommand::Start(args) => start::run(context, args).await,
        SessionCommand::Ls(args) => list::run(context, args).await,
        SessionCommand::Show(args) => show(context, &args.session).await,
        SessionCommand::Stop(args) => stop::run(context, args).await,
    }
}

async fn show(context: &Context, id: &str) -> Result<Exit, CliError> {
    let session: Document<Session> = context.client()?.get(["sessions", id]).document().await?;
    context.output.answer(&session.raw, || describe(&session.value)).map(|()| Exit::Ok)
}

fn describe(session: &Session) -> String {
    let mut table = Table::new(&["session", &session.session_id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("project", session.project_id.clone());
    field("server", session.server.clone());
    field("status", session.status.clone());
    if let Some(address) = session.address() {
        field("address", address);
    }
    if session.read_only {
        field("read only", "yes".to_owned());
    }
    if let Some(seconds) = session.idle_timeout_s {
        field("idle limit", format!("{seconds} s"));
    }
    for (name, value) in [("preview", &session.preview_url), ("worker", &session.worker), ("error", &session.error)] {
        if let Some(value) = value {
            field(name, value.clone());
        }
    }
    if let Some(version) = session.version {
        field("version", version.to_string());
    }
    field("created", time(session.created_at));
    for (name, at) in [("ready", session.ready_at), ("ended", session.ended_at)] {
        if let Some(at) = at {
            field(name, time(at));
        }
    }
    table.render()
}
