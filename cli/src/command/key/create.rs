//! `drydock key create`

use std::time::Duration;

use clap::Args;
use drydock_client::{Document, views::NewKey};
use drydock_domain::{Role, Scope};
use drydock_runtime::config::positive_duration;
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock key create ci --role member --expires 90d > key.txt
  drydock key create dashboard --role viewer --scope jobs:read

Writes the key, once: nobody can show it again. No key gets rights that yours has not. Roles: viewer reads, member
works on projects and jobs, owner manages users and keys too, operator runs the fleet, admin is owner and operator.")]
pub(in crate::command) struct CreateArgs {
    /// What it is for
    name: String,
    /// viewer, member, owner, operator or admin
    #[arg(long)]
    role: Role,
    /// Only this scope of the role's, like jobs:read; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// How long it lasts, like 90d; for ever by default
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    expires: Option<Duration>,
    /// The user who uses it
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    role: Role,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

pub(super) async fn run(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let CreateArgs { name, role, scopes, expires, user, .. } = args;
    let body = Body { name, role, scopes, expires_in_s: expires.map(|time| time.as_secs()), user_id: user };
    // Sent once: an answer that gets lost may have made a key, which the list shows.
    let made: Document<NewKey> = context.client()?.post(["keys"]).json(&body).document().await?;
    let NewKey { id, key } = &made.value;
    context.output.note(&format!("made key {id}; it is shown this once"));
    context.output.answer(&made.raw, || key.clone()).map(|()| Exit::Ok)
}
