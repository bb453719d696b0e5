//! `drydock user …`

mod create;
mod list;
mod set;

use std::time::Duration;

use clap::Subcommand;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user
    Create(create::CreateArgs),
    /// List users, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Change a user
    Set(set::SetArgs),
}

impl UserCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Set(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: UserCommand) -> Result<Exit, CliError> {
    match command {
        UserCommand::Create(args) => create::run(context, args).await,
        UserCommand::Ls(args) => list::run(context, args).await,
        UserCommand::Set(args) => set::run(context, args).await,
    }
}
