//! `drydock schedule …`

mod create;
mod describe;
mod list;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::describe::describe;
use drydock_client::{Document, views::Schedule};

use super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// Make jobs at set times
    Create(Box<create::CreateArgs>),
    /// List schedules, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Show a schedule with its next times
    #[command(after_help = "Example:\n  drydock schedule show SCHEDULE")]
    Show(OneArgs),
    /// Make no jobs until resumed
    #[command(after_help = "Example:\n  drydock schedule pause SCHEDULE")]
    Pause(OneArgs),
    /// Go on with the next time; those that passed meanwhile are not made up for
    #[command(after_help = "Example:\n  drydock schedule resume SCHEDULE")]
    Resume(OneArgs),
    /// Remove a schedule; the jobs it made stay
    #[command(after_help = "Example:\n  drydock schedule rm SCHEDULE")]
    Rm(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The schedule
    schedule: String,
    #[command(flatten)]
    patience: Patience,
}

impl ScheduleCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            // Its --timeout is the job's.
            Self::Create(_) => None,
            Self::Ls(args) => args.patience.timeout,
            Self::Show(args) | Self::Pause(args) | Self::Resume(args) | Self::Rm(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: ScheduleCommand) -> Result<Exit, CliError> {
    match command {
        ScheduleCommand::Create(args) => create::run(context, *args).await,
        ScheduleCommand::Ls(args) => list::run(context, args).await,
        ScheduleCommand::Show(args) => show(context, &args.schedule).await,
        ScheduleCommand::Pause(args) => change(context, &args.schedule, &json!({"paused": true})).await,
        ScheduleCommand::Resume(args) => change(context, &args.schedule, &json!({"paused": false})).await,
        ScheduleCommand::Rm(args) => remove(context, &args.schedule).await,
    }
}

async fn show(context: &Context, id: &str) -> Result<Exit, CliError> {
    let schedule: Document<Schedule> = context.client()?.get(["schedules", id]).document().await?;
    context.output.answer(&schedule.raw, || describe(&schedule.value)).map(|()| Exit::Ok)
}

async fn change(context: &Context, id: &str, change: &Value) -> Result<Exit, CliError> {
    let schedule: Document<Schedule> = context.client()?.patch(["schedules", id]).json(change).document().await?;
    context.output.answer(&schedule.raw, || describe(&schedule.value)).map(|()| Exit::Ok)
}

async fn remove(context: &Context, id: &str) -> Result<Exit, CliError> {
    context.client()?.delete(["schedules", id]).bytes().await?;
    context.output.note(&format!("removed schedule {id}"));
    Ok(Exit::Ok)
}
