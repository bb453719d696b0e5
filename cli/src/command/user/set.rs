//! `drydock user set`

use clap::Args;
use drydock_client::{Document, views::User};
use drydock_domain::Role;
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit, output::standing};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock user set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --role owner
  drydock user set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --disable

What is not given stays. The keys and tokens of a user that is disabled are refused within seconds. One owner of a
tenant stays.")]
#[group(id = "change", required = true, multiple = true, args = ["name", "role", "disable", "enable"])]
pub(in crate::command) struct SetArgs {
    /// The user
    user: String,
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// viewer, member, owner, operator or admin
    #[arg(long)]
    role: Option<Role>,
    /// Let nobody in as this user
    #[arg(long)]
    disable: bool,
    /// Let the user in again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

pub(super) async fn run(context: &Context, args: SetArgs) -> Result<Exit, CliError> {
    let SetArgs { user, name, role, disable, enable, .. } = args;
    let body = Body { name, role, disabled: (disable || enable).then_some(disable) };
    let changed: Document<User> = context.client()?.patch(["users", &user]).json(&body).document().await?;
    let now = &changed.value;
    context.output.note(&format!("changed user {user}"));
    context
        .output
        .answer(&changed.raw, || format!("{} is {}, {}", now.name, now.role, standing(now.disabled_at)))
        .map(|()| Exit::Ok)
}
