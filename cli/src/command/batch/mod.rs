//! `drydock batch …`

mod change;
mod describe;
mod failures;
mod grep;
mod list;
mod results;
mod settings;
mod submit;
mod upload;
mod wait;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::Instant;

use self::describe::describe;
use drydock_client::{Document, views::Batch};

pub(super) use self::describe::{is_over, progress};
use super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum BatchCommand {
    /// Submit a file of jobs, one JSON object a line
    Submit(Box<submit::SubmitArgs>),
    /// List batches, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Show how a batch stands
    #[command(visible_alias = "show", after_help = "Example:\n  drydock batch status BATCH")]
    Status(OneArgs),
    /// Wait for a batch, telling how it goes
    Wait(wait::WaitBatchArgs),
    /// Write what came of each line, as NDJSON in the order of the file
    Results(results::ResultsArgs),
    /// Show what went wrong, grouped by cause
    Failures(failures::FailuresArgs),
    /// Search in the logs of a batch: which jobs printed it, how often, and what
    Grep(grep::GrepArgs),
    /// Run every line that failed again
    #[command(after_help = "Example:\n  drydock batch retry-failed BATCH && drydock batch wait BATCH")]
    RetryFailed(OneArgs),
    /// Change a batch's name, labels or limits
    Set(change::SetArgs),
    /// Let no further jobs go, and take back those that wait
    #[command(after_help = "Example:\n  drydock batch pause BATCH")]
    Pause(OneArgs),
    /// Go on after a pause, whatever the reason was
    #[command(after_help = "Example:\n  drydock batch resume BATCH")]
    Resume(OneArgs),
    /// Take no further lines: it is over once all its jobs are
    #[command(after_help = "Example:\n  drydock batch close BATCH")]
    Close(OneArgs),
    /// Cancel what is not over; what runs is stopped and publishes nothing
    Cancel(change::CancelArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The batch
    batch: String,
    #[command(flatten)]
    patience: Patience,
}

impl BatchCommand {
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Submit(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Wait(args) => args.patience.timeout,
            Self::Results(args) => args.patience.timeout,
            Self::Failures(args) => args.patience.timeout,
            Self::Grep(args) => args.patience.timeout,
            Self::Set(args) => args.patience.timeout,
            Self::Cancel(args) => args.patience.timeout,
            Self::Status(args)
            | Self::RetryFailed(args)
            | Self::Pause(args)
            | Self::Resume(args)
            | Self::Close(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: BatchCommand, deadline: Option<Instant>) -> Result<Exit, CliError> {
    match command {
        BatchCommand::Submit(args) => submit::run(context, *args, deadline).await,
        BatchCommand::Ls(args) => list::run(context, args).await,
        BatchCommand::Status(args) => show(context, &args.batch).await,
        BatchCommand::Wait(args) => wait::run(context, args, deadline).await,
        BatchCommand::Results(args) => results::run(context, args).await,
        BatchCommand::Failures(args) => failures::run(context, args).await,
        BatchCommand::Grep(args) => grep::run(context, args).await,
        BatchCommand::RetryFailed(args) => change::retry_failed(context, &args.batch).await,
        BatchCommand::Set(args) => change::set(context, args).await,
        BatchCommand::Pause(args) => act(context, &args.batch, "pause").await,
        BatchCommand::Resume(args) => act(context, &args.batch, "resume").await,
        BatchCommand::Close(args) => act(context, &args.batch, "close").await,
        BatchCommand::Cancel(args) => change::cancel(context, args).await,
    }
}

async fn show(context: &Context, id: &str) -> Result<Exit, CliError> {
    let batch = context.client()?.batch(id).await?;
    context.output.answer(&batch.raw, || describe(&batch.value)).map(|()| Exit::Ok)
}

/// What may be asked for again and again.
async fn act(context: &Context, id: &str, action: &str) -> Result<Exit, CliError> {
    let client = context.client()?;
    let batch: Document<Batch> = client.post(["batches", id, action]).json(&json!({})).repeatable().document().await?;
    context.output.answer(&batch.raw, || describe(&batch.value)).map(|()| Exit::Ok)
}
