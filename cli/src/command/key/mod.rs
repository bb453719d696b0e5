//! `drydock key …`

mod create;
mod list;
mod revoke;

use std::time::Duration;

use clap::Subcommand;

pub(super) use self::list::validity;
use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and write it, once
    Create(create::CreateArgs),
    /// List keys, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// End keys
    Revoke(revoke::RevokeArgs),
}

impl KeyCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Revoke(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: KeyCommand) -> Result<Exit, CliError> {
    match command {
        KeyCommand::Create(args) => create::run(context, args).await,
        KeyCommand::Ls(args) => list::run(context, args).await,
        KeyCommand::Revoke(args) => revoke::run(context, args).await,
    }
}
