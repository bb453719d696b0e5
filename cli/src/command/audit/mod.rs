//! `drydock audit …`

mod chain;
mod export;
mod list;
mod verify;

use std::time::Duration;

use clap::Subcommand;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show who asked for what, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Write every record with its hash, oldest first, as NDJSON
    Export(export::ExportArgs),
    /// Tell whether a record was changed, removed or put in
    Verify(verify::VerifyArgs),
}

impl AuditCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Ls(args) => args.patience.timeout,
            Self::Export(args) => args.patience.timeout,
            Self::Verify(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<Exit, CliError> {
    match command {
        AuditCommand::Ls(args) => list::run(context, args).await,
        AuditCommand::Export(args) => export::run(context, args).await,
        AuditCommand::Verify(args) => verify::run(context, args).await,
    }
}
