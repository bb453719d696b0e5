//! `drydock batch results`

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// How long each part may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch results BATCH > results.ndjson
  drydock batch results BATCH --status error | jq -r '[.line, .errors[0]] | @tsv'
  drydock batch results BATCH | jq -s 'map(select(.status == \"completed\")) | min_by(.run_s).project_id'

One JSON object a line, in the order of the file. A line that was run again is told once, by its newest job.")]
pub(in crate::command) struct ResultsArgs {
    /// The batch
    batch: String,
    /// Which lines
    #[arg(long, value_enum, default_value_t = Which::All)]
    status: Which,
    /// Begin after this line of the file
    #[arg(long, value_name = "LINE")]
    after_line: Option<u32>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Which {
    All,
    /// Whose job is over
    Ended,
    /// Whose job ended well
    Completed,
    /// Whose job failed
    Error,
}

impl Which {
    /// In the API's words.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ended => "ended",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }
}

pub(super) async fn run(context: &Context, args: ResultsArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = client.get(["batches", args.batch.as_str(), "results"]);
    let mut response = call.query("status", args.status.word()).query_opt("after_line", args.after_line).send().await?;
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&part)?;
    }
    Ok(Exit::Ok)
}
