//! `drydock audit export`

use std::time::Duration;

use clap::Args;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// How long each part may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock audit export > audit.ndjson
  drydock audit export --after \"$(tail -n1 audit.ndjson | jq .position)\" >> audit.ndjson
  drydock audit verify audit.ndjson

A record gets its place and its hash a second or so after it was written.")]
pub(in crate::command) struct ExportArgs {
    /// Begin after this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ExportArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let mut response = client.get(["audit", "export"]).query_opt("after", args.after).send().await?;
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&part)?;
    }
    Ok(Exit::Ok)
}
