//! `drydock job retry`

use clap::Args;
use tokio::time::Instant;

use super::{
    super::{Context, wait::WaitArgs},
    submit::accepted,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job retry JOB --wait
  for job in $(drydock job ls --detail dead --json | jq -r '.items[].id'); do drydock job retry $job; done

Any job that is over; the new one asks for the same, at once, and names the old one. Writes its id.
With --wait the exit code is the new job's.")]
pub(in crate::command) struct RetryArgs {
    /// The job that is over
    job: String,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) async fn run(context: &Context, args: RetryArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let deadline = args.wait.deadline(deadline);
    let job = client.retry_job(&args.job).await?;
    accepted(context, &client, job, args.wait, deadline).await
}
