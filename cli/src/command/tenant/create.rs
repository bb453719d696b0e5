//! `drydock tenant create`

use clap::Args;
use drydock_client::{Document, views::NewTenant};
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock tenant create acme --key-name ada > key.txt

Writes the tenant's first key, an owner's, once: nobody can show it again.")]
pub(in crate::command) struct CreateArgs {
    /// 1 to 64 of A-Z a-z 0-9 . _ -, unique
    name: String,
    /// The name of its first key
    #[arg(long, value_name = "NAME")]
    key_name: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
}

pub(super) async fn run(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let CreateArgs { name, key_name, .. } = args;
    let body = Body { name, key_name };
    // Sent once: where the answer gets lost, the name is taken, and `drydock admin bootstrap --tenant` makes a key.
    let made: Document<NewTenant> = context.client()?.post(["tenants"]).json(&body).document().await?;
    let NewTenant { id, first_key } = &made.value;
    context.output.note(&format!("made tenant {id}; its first key is shown this once"));
    context.output.answer(&made.raw, || first_key.key.clone()).map(|()| Exit::Ok)
}
