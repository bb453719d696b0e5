//! `drydock job cancel`

use clap::Args;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job cancel JOB --reason \"wrong branch\"
  drydock job cancel JOB && drydock job wait JOB

Repeating it changes nothing, and a job that is over stays as it is. A running job is over when its
worker has stopped it; nothing of it is published.")]
pub(in crate::command) struct CancelArgs {
    /// The job
    job: String,
    /// Kept with the job
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: CancelArgs) -> Result<Exit, CliError> {
    let job = context.client()?.cancel_job(&args.job, args.reason.as_deref()).await?;
    let status = job.value.status_detail.as_ref().unwrap_or(&job.value.status);
    context.output.answer(&job.raw, || format!("{} {status}", job.value.id)).map(|()| Exit::Ok)
}
