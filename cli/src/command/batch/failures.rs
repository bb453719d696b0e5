//! `drydock batch failures`

use clap::Args;
use drydock_client::{
    Document,
    views::{Cause, List},
};

use super::super::{Context, Patience};
use crate::{CliError, Exit, output::Table};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch failures BATCH
  drydock job logs $(drydock --json batch failures BATCH | jq -r '.items[0].job_ids[0]')

Failures are alike where their kind and first error are, ids, paths and numbers aside.")]
pub(in crate::command) struct FailuresArgs {
    /// The batch
    batch: String,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: FailuresArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let causes: Document<List<Cause>> = client.get(["batches", args.batch.as_str(), "failures"]).document().await?;
    let mut table = Table::new(&["JOBS", "KIND", "FIRST JOB", "CAUSE"]);
    for cause in &causes.value.items {
        let first = cause.job_ids.first().cloned().unwrap_or_default();
        table.row([cause.jobs.to_string(), cause.failure_kind.clone(), first, cause.cause.clone()]);
    }
    context.output.answer(&causes.raw, || table.render()).map(|()| Exit::Ok)
}
