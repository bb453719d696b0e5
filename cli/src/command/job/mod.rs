//! `drydock job …`

mod cancel;
mod describe;
mod events;
mod grep;
mod list;
pub(super) mod logs;
mod options;
mod retry;
pub(super) mod submit;
pub(super) mod wait;

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::time::Instant;

use super::{Context, Patience};
use crate::{CliError, Exit};

pub(super) use self::options::JobOptions;

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// Submit a job to a project
    Submit(submit::SubmitArgs),
    /// Show a job with its attempts and timings
    Show(ShowArgs),
    /// List jobs, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Cancel a job that is not over
    Cancel(cancel::CancelArgs),
    /// Run a job that is over again, as a new one
    Retry(retry::RetryArgs),
    /// Wait until jobs are over
    Wait(wait::WaitJobsArgs),
    /// Read a job's log, or follow it
    Logs(logs::LogsArgs),
    /// Search in a job's log: the lines that match, or how many
    Grep(grep::GrepArgs),
    /// Follow a job's changes and progress from the first one
    Events(events::EventsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock job show 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e91")]
pub(super) struct ShowArgs {
    /// The job
    job: String,
    #[command(flatten)]
    patience: Patience,
}

impl JobCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            // The --timeout of a submission is the job's; a retry bounds its wait.
            Self::Submit(_) | Self::Retry(_) => None,
            Self::Cancel(args) => args.patience.timeout,
            Self::Show(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Wait(args) => args.patience.timeout,
            Self::Logs(args) => args.patience.timeout,
            Self::Grep(args) => args.patience.timeout,
            Self::Events(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: JobCommand, deadline: Option<Instant>) -> Result<Exit, CliError> {
    match command {
        JobCommand::Submit(args) => submit::run(context, args, deadline).await,
        JobCommand::Show(args) => show(context, args).await,
        JobCommand::Ls(args) => list::run(context, args).await,
        JobCommand::Cancel(args) => cancel::run(context, args).await,
        JobCommand::Retry(args) => retry::run(context, args, deadline).await,
        JobCommand::Wait(args) => wait::run(context, args, deadline).await,
        JobCommand::Logs(args) => logs::run(context, args).await,
        JobCommand::Grep(args) => grep::run(context, args).await,
        JobCommand::Events(args) => events::run(context, args).await,
    }
}

async fn show(context: &Context, args: ShowArgs) -> Result<Exit, CliError> {
    let job = context.client()?.job(&args.job).await?;
    context.output.answer(&job.raw, || describe::describe(&job.value)).map(|()| Exit::Ok)
}
