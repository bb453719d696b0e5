//! `drydock doctor`: everything between this command and a job, looked at once.
//!
//! Owns the order: the API and what it says of the fleet first, then the servers behind it, as far as this command is told where
//! they are. Nothing is changed but one small object that is written, read and deleted.

mod api;
mod servers;
mod workers;

use std::time::Duration;

use clap::Args;
use drydock_runtime::{
    doctor::{Finding, Report},
    exit::chain,
};

use super::{Context, Patience};
use crate::{CliError, Exit};

/// How long one server may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(
    after_help = "Asks the API, and the servers behind it where their settings are given, as the services have them:
DRYDOCK_DATABASE_URL, DRYDOCK_AMQP_URL, DRYDOCK_S3_…, AWS_…. What a node allows is tried there:
drydock-worker doctor.

Exit code 1: something does not work. What works and could be better is `warn`, and exit code 0.

Example:
  drydock doctor --json | jq '.checks[] | select(.status != \"ok\")'"
)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context) -> Result<Exit, CliError> {
    let mut report = Report::default();
    match context.client() {
        Ok(client) => {
            let client = client.with_patience(Duration::ZERO);
            if api::look(&client, &mut report).await {
                workers::look(&client, &mut report).await;
            }
        }
        Err(error) => report.add(Finding::failure("settings", chain(&error), "correct the setting that is named")),
    }
    report.add(servers::database().await);
    report.add(servers::broker().await);
    report.add(servers::storage().await);
    let output = &context.output;
    output.answer(report.json().to_string().as_bytes(), || report.text())?;
    Ok(if report.has_failures() { Exit::Failed } else { Exit::Ok })
}
