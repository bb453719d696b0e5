//! `drydock session stop`

use std::time::Duration;

use clap::Args;
use drydock_client::{Document, views::SessionEnd};

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// What was changed is stored before the answer.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock session stop 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90
  drydock session stop $(drydock --json session ls PROJECT | jq -r '.items[].session_id')

Writes what became of each: terminated, or already_gone where it was over before; with the version that its changes became. Where
they became none although they were to, it says why and exits with 1.")]
pub(in crate::command) struct StopArgs {
    /// The sessions
    #[arg(required = true, value_name = "SESSION")]
    sessions: Vec<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: StopArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let (mut exit, mut failed) = (Exit::Ok, None);
    for id in &args.sessions {
        let end: Document<SessionEnd> = match client.delete(["sessions", id]).limit(LIMIT).document().await {
            Ok(end) => end,
            Err(error) => {
                // The others are to end all the same.
                if let Some(before) = failed.replace(CliError::from(error)) {
                    context.output.warn(&format!("error: {before}"));
                }
                continue;
            }
        };
        if let Some(error) = &end.value.error {
            context.output.warn(&format!("error: {id}: {error}"));
            exit = Exit::Failed;
        }
        context.output.answer(&end.raw, || {
            let version = end.value.version.map(|version| format!(", version {version}")).unwrap_or_default();
            format!("{id} {}{version}", end.value.status)
        })?;
    }
    failed.map_or(Ok(exit), Err)
}
