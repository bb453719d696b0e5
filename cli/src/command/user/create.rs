//! `drydock user create`

use clap::Args;
use drydock_client::{Document, views::User};
use drydock_domain::Role;
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock user create Ada --email ada@example.org --role member

Writes the user's id. What a user may do they do by keys (drydock key create --user ID), which have no more rights than
the user's role. Who comes with a token of an issuer is made by their first one.")]
pub(in crate::command) struct CreateArgs {
    /// For people
    name: String,
    /// Once in a tenant
    #[arg(long)]
    email: String,
    /// viewer, member, owner, operator or admin
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    email: String,
    role: Role,
}

pub(super) async fn run(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let CreateArgs { name, email, role, .. } = args;
    let body = Body { name, email, role };
    let made: Document<User> = context.client()?.post(["users"]).json(&body).document().await?;
    context.output.answer(&made.raw, || made.value.id.clone()).map(|()| Exit::Ok)
}
