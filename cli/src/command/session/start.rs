//! `drydock session start`

use std::time::Duration;

use clap::Args;
use drydock_client::{Document, views::Session};
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// A workspace may have to be fetched first, and a server may take its time.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock session start PROJECT preview --read-only
  curl http://$(drydock session start PROJECT serena --idle-timeout 600)/mcp

Writes host:port. The server's output is in the log of the job that has the session's id: drydock logs SESSION -f. It ends with
`drydock session stop`, or when nobody was connected for the idle limit, an hour by default; what was changed becomes a version then,
unless it is --read-only. Until then no job changes the project. With no free session slot the exit code is 6: try again later.")]
pub(in crate::command) struct StartArgs {
    /// The project
    project: String,
    /// One of the workers' servers, like preview
    // Not `server`: that is the global option's name.
    #[arg(value_name = "SERVER")]
    session_server: String,
    /// Discard what is changed; the project's jobs run beside it
    #[arg(long)]
    read_only: bool,
    /// End it after so many seconds without a connection
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle_timeout: Option<u32>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Serialize)]
struct Body {
    project_id: String,
    server: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout_s: Option<u32>,
}

pub(super) async fn run(context: &Context, args: StartArgs) -> Result<Exit, CliError> {
    let body = Body {
        project_id: args.project,
        server: args.session_server,
        read_only: args.read_only,
        idle_timeout_s: args.idle_timeout,
    };
    let client = context.client()?;
    let made: Document<Session> = client.post(["sessions"]).json(&body).idempotent().limit(LIMIT).document().await?;
    let id = &made.value.session_id;
    context.output.note(&format!("session {id} is ready; to end it: drydock session stop {id}"));
    context.output.answer(&made.raw, || made.value.address().unwrap_or_default()).map(|()| Exit::Ok)
}
