//! `drydock job ls`

use chrono::{DateTime, Utc};
use clap::Args;
use drydock_client::views::Job;

use super::super::{Context, Patience, labels::Labels, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job ls --status queued,in_progress
  drydock job ls --detail dead
  drydock job ls PROJECT --label team=web --since 2025-11-21T00:00:00Z")]
pub(in crate::command) struct ListArgs {
    /// Only this project's
    project: Option<String>,
    /// Only with this status: queued, `in_progress`, completed, error or cancelled; several with commas
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only standing exactly so, like dead or retrying; several with commas
    #[arg(long, value_delimiter = ',')]
    detail: Vec<String>,
    /// Only of this type: `initial_project`, edit or command; several with commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    #[command(flatten)]
    labels: Labels,
    /// Only accepted at or after this time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    since: Option<DateTime<Utc>>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let mut path = vec!["jobs"];
    if let Some(project) = &args.project {
        path = vec!["projects", project, "jobs"];
    }
    let labels: Vec<String> = args.labels.pairs().collect();
    let call = || {
        let parameters =
            [("status", &args.status), ("detail", &args.detail), ("type", &args.types), ("label", &labels)];
        let pairs = parameters.into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let call = pairs.fold(client.get(path.iter()), |call, (name, value)| call.query(name, value));
        call.query_opt("since", args.since.map(|since| since.to_rfc3339()))
    };
    let table = Table::new(&["JOB", "TYPE", "STATUS", "PROJECT", "ACCEPTED", "TITLE"]);
    let row = |job: &Job| {
        let (id, project) = (job.id.clone(), job.project_id.clone());
        vec![id, job.job_type.clone(), job.status.clone(), project, time(job.created_at), job.title.clone()]
    };
    list::show(context, args.paging, call, table, row).await
}
