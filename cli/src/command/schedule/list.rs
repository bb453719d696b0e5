//! `drydock schedule ls`

use clap::Args;
use drydock_client::views::Schedule;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock schedule ls
  drydock schedule ls PROJECT")]
pub(in crate::command) struct ListArgs {
    /// Only this project's
    project: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["schedules"]).query_opt("project_id", args.project.as_ref());
    let table = Table::new(&["SCHEDULE", "NAME", "CRON", "ZONE", "NEXT", "PROJECT"]);
    let row = |schedule: &Schedule| {
        let next = if schedule.paused {
            "paused".to_owned()
        } else {
            schedule.next.first().copied().map(time).unwrap_or_default()
        };
        let (id, name, project) = (schedule.id.clone(), schedule.name.clone(), schedule.project_id.clone());
        vec![id, name, schedule.cron.clone(), schedule.time_zone.clone(), next, project]
    };
    list::show(context, args.paging, call, table, row).await
}
