//! `drydock workspace token …`

use std::time::Duration;

use clap::{Args, Subcommand};
use drydock_client::{
    Document,
    views::{DaemonToken, NewDaemonToken},
};
use drydock_runtime::config::positive_duration;
use serde::Serialize;

use super::super::{Context, Patience, key::validity, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum TokenCommand {
    /// Make a token for a daemon and write it, once
    Create(CreateArgs),
    /// List a workspace's tokens, newest first
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// End tokens; daemons connected by them are cut off
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock workspace token create PROJECT \"build machine\" --expires 30d > token.txt
  drydock daemon --project PROJECT --dir . --daemon-token-file token.txt

`drydock daemon` makes one by itself where you are logged in. A token opens the project's files and its daemon's socket, and nothing else.")]
pub(in crate::command) struct CreateArgs {
    /// The project
    project: String,
    /// Whose machine it is for
    name: String,
    /// How long it lasts, like 30d; until it is revoked by default
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock workspace token ls PROJECT")]
pub(in crate::command) struct ListArgs {
    /// The project
    project: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock workspace token revoke PROJECT 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90

They are refused within seconds (DRYDOCK_API_KEY_CACHE of the API), and stay in the list.")]
pub(in crate::command) struct RevokeArgs {
    /// The project
    project: String,
    /// The tokens' ids
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_s: Option<u64>,
}

impl TokenCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Revoke(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: TokenCommand) -> Result<Exit, CliError> {
    match command {
        TokenCommand::Create(args) => create(context, args).await,
        TokenCommand::Ls(args) => ls(context, args).await,
        TokenCommand::Revoke(args) => revoke(context, args).await,
    }
}

async fn create(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let body = Body { name: args.name, expires_in_s: args.expires.map(|time| time.as_secs()) };
    let client = context.client()?;
    // Sent once: an answer that gets lost may have made a token, which the list shows.
    let call = client.post(["workspaces", &args.project, "tokens"]).json(&body);
    let made: Document<NewDaemonToken> = call.document().await?;
    context.output.note(&format!("made token {}; it is shown this once", made.value.id));
    context.output.answer(&made.raw, || made.value.token.clone()).map(|()| Exit::Ok)
}

async fn ls(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["workspaces", &args.project, "tokens"]);
    let table = Table::new(&["TOKEN", "NAME", "PREFIX", "STATE", "USED", "CREATED"]);
    let row = |token: &DaemonToken| {
        let used = token.last_used_at.map_or_else(|| "never".to_owned(), time);
        let (id, name, prefix) = (token.id.clone(), token.name.clone(), token.prefix.clone());
        let state = validity(token.revoked_at, token.expires_at);
        vec![id, name, prefix, state, used, time(token.created_at)]
    };
    list::show(context, args.paging, call, table, row).await
}

async fn revoke(context: &Context, args: RevokeArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    for token in &args.tokens {
        client.delete(["workspaces", &args.project, "tokens", token]).bytes().await?;
        context.output.note(&format!("revoked token {token}"));
    }
    Ok(Exit::Ok)
}
