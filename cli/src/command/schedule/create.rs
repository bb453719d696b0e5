//! `drydock schedule create`

use clap::Args;
use drydock_client::{Document, NewJob, views::Schedule};
use serde::Serialize;

use super::super::{Context, job::JobOptions};
use crate::{CliError, Exit, output::time};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock schedule create PROJECT --name nightly --cron \"30 2 * * *\" --time-zone Europe/Berlin -i \"Update the dependencies\"
  drydock schedule create PROJECT --name checks --cron @hourly --missed skip -- make check

Writes the schedule's id. Here --timeout is the limit of each job.")]
pub(in crate::command) struct CreateArgs {
    /// The project
    project: String,
    /// A name for lists
    #[arg(long)]
    name: String,
    /// When: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "EXPRESSION")]
    cron: String,
    /// Where the clock of the expression hangs, like Europe/Berlin; UTC by default
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What becomes of times missed while nothing could be started: skip them, or once for all of them (the default)
    #[arg(long, value_name = "POLICY")]
    missed: Option<String>,
    /// Begin paused
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    options: JobOptions,
}

#[derive(Debug, Serialize)]
struct Body {
    name: String,
    project_id: String,
    cron: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    job: NewJob,
}

pub(super) async fn run(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let body = Body {
        name: args.name,
        project_id: args.project,
        cron: args.cron,
        time_zone: args.time_zone,
        missed: args.missed,
        paused: args.paused,
        job: args.options.into(),
    };
    let client = context.client()?;
    let made: Document<Schedule> = client.post(["schedules"]).json(&body).idempotent().document().await?;
    if let Some(first) = made.value.next.first() {
        context.output.note(&format!("the first job is made at {}", time(*first)));
    }
    context.output.answer(&made.raw, || made.value.id.clone()).map(|()| Exit::Ok)
}
