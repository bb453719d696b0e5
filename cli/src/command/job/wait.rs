//! `drydock job wait`

use clap::Args;
use drydock_client::Waited;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{
    super::{Context, Patience, wait},
    describe::describe,
};
use crate::{CliError, Exit};

/// Jobs polled at the same time.
const AT_ONCE: usize = 64;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job wait JOB --timeout 10m
  drydock wait $(cat jobs.txt) --quiet

The exit code is the worst of the jobs': 0 completed, 8 cancelled, 1 error; 7 if one is not over
in time. Restarts of the server are waited out.")]
pub(in crate::command) struct WaitJobsArgs {
    /// The jobs
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(
    context: &Context,
    args: WaitJobsArgs,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    if let [id] = args.jobs.as_slice() {
        let waited = wait::one(context, &client, id, deadline).await?;
        return told(context, id, &waited, true);
    }
    context.output.resumable(format!("drydock job wait {}", args.jobs.join(" ")));
    let waits = args.jobs.iter().map(async |id| (id, client.wait_for(id, deadline).await));
    let mut waits = stream::iter(waits).buffer_unordered(AT_ONCE);
    let mut worst = Exit::Ok;
    while let Some((id, waited)) = waits.next().await {
        worst = worst.worse(told(context, id, &waited?, false)?);
    }
    Ok(worst)
}

fn told(context: &Context, id: &str, waited: &Waited, alone: bool) -> Result<Exit, CliError> {
    context.output.note(&wait::summary(id, waited));
    match waited {
        Waited::Over(ending, job) => {
            let text = || {
                if alone { describe(&job.value) } else { format!("{id} {}", job.value.status) }
            };
            context.output.answer(&job.raw, text)?;
            Ok((*ending).into())
        }
        Waited::TimeUp => Ok(Exit::TimedOut),
    }
}
