//! `drydock tenant …`

mod create;
mod list;
mod set;

use std::time::Duration;

use clap::Subcommand;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant and write its first key, once
    Create(create::CreateArgs),
    /// List tenants, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Change a tenant
    Set(set::SetArgs),
}

impl TenantCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Set(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: TenantCommand) -> Result<Exit, CliError> {
    match command {
        TenantCommand::Create(args) => create::run(context, args).await,
        TenantCommand::Ls(args) => list::run(context, args).await,
        TenantCommand::Set(args) => set::run(context, args).await,
    }
}
