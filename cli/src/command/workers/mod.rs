//! `drydock workers …`

mod drain;
mod list;

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::time::Instant;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  drydock workers
  drydock workers drain WORKER --wait

Without a command: ls."
)]
pub(super) struct WorkersArgs {
    #[command(subcommand)]
    command: Option<WorkersCommand>,
    #[command(flatten)]
    list: list::ListArgs,
}

#[derive(Debug, Subcommand)]
enum WorkersCommand {
    /// List the workers
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Let workers take no more jobs, and finish those they run
    Drain(drain::DrainArgs),
    /// Let drained workers take jobs again
    Undrain(drain::UndrainArgs),
}

impl WorkersArgs {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match &self.command {
            None => self.list.patience.timeout,
            Some(WorkersCommand::Ls(args)) => args.patience.timeout,
            Some(WorkersCommand::Drain(args)) => args.patience.timeout,
            Some(WorkersCommand::Undrain(args)) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, args: WorkersArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    match args.command {
        None => list::run(context, args.list).await,
        Some(WorkersCommand::Ls(args)) => list::run(context, args).await,
        Some(WorkersCommand::Drain(args)) => drain::run(context, args, deadline).await,
        Some(WorkersCommand::Undrain(args)) => drain::undo(context, args).await,
    }
}
