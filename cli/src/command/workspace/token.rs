//! `drydock workspace tokens|grant|revoke`

use std::time::Duration;

use clap::Args;
use drydock_client::{
    Document,
    views::{DaemonToken, NewDaemonToken},
};
use drydock_runtime::config::positive_duration;
use serde::Serialize;

use super::super::{
    Context, Patience,
    key::validity,
    list::{Paging, show},
};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock workspace grant PROJECT \"build machine\" --expires 30d > token.txt
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
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock workspace tokens PROJECT")]
pub(in crate::command) struct ListArgs {
    /// The project
    project: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock workspace revoke PROJECT 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90

They are refused within seconds (DRYDOCK_API_KEY_CACHE of the API), and stay in the list.")]
pub(in crate::command) struct RevokeArgs {
    /// The project
    project: String,
    /// The tokens' ids
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_s: Option<u64>,
}

pub(super) async fn create(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let body = Body { name: args.name, expires_in_s: args.expires.map(|time| time.as_secs()) };
    let client = context.client()?;
    // Sent once: an answer that gets lost may have made a token, which the list shows.
    let call = client.post(["workspaces", &args.project, "tokens"]).json(&body);
    let made: Document<NewDaemonToken> = call.document().await?;
    context.output.note(&format!("made token {}; it is shown this once", made.value.id));
    context.output.answer(&made.raw, || made.value.token.clone()).map(|()| Exit::Ok)
}

pub(super) async fn list(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["workspaces", &args.project, "tokens"]);
    let table = Table::new(&["TOKEN", "NAME", "PREFIX", "STATE", "USED", "CREATED"]);
    let row = |token: &DaemonToken| {
        let used = token.last_used_at.map_or_else(|| "never".to_owned(), time);
        let (id, name, prefix) = (token.id.clone(), token.name.clone(), token.prefix.clone());
        let state = validity(token.revoked_at, token.expires_at);
        vec![id, name, prefix, state, used, time(token.created_at)]
    };
    show(context, args.paging, call, table, row).await
}

pub(super) async fn revoke(context: &Context, args: RevokeArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    for token in &args.tokens {
        client.delete(["workspaces", &args.project, "tokens", token]).bytes().await?;
        context.output.note(&format!("revoked token {token}"));
    }
    Ok(Exit::Ok)
}
