//! `drydock key revoke`

use clap::Args;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock key revoke 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90

They are refused within seconds (DRYDOCK_API_KEY_CACHE of the API), and stay in the list.")]
pub(in crate::command) struct RevokeArgs {
    /// The keys' ids
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: RevokeArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    for key in &args.keys {
        client.delete(["keys", key]).bytes().await?;
        context.output.note(&format!("revoked key {key}"));
    }
    Ok(Exit::Ok)
}
