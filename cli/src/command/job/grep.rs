//! `drydock job grep`: the lines of a job's log that match, or how many they are.

use clap::Args;
use drydock_client::{Document, views::Found};

use super::super::{
    Context, Patience,
    grep::{Pattern, further, shown},
};
use crate::{CliError, Exit, output::Format};

/// Lines of one page (`GET /api/v1/limits`).
const PAGE: u32 = 500;

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 where a line matches, 1 where none does, as grep has it.

Examples:
  drydock job grep JOB 'error(\\[E[0-9]+\\])?:'
  drydock job grep JOB -F 'a.b' -n
  drydock job grep JOB -ic warning
  drydock job grep JOB -- --offline
  drydock -o ndjson job grep JOB panicked | jq -r '[.line, .offset, .text] | @tsv'

The server searches, whatever the log's size; while the job runs, as far as the log is there. Colours that the job printed are no part
of a line. With --json one page is written; its next_cursor is for the API.")]
pub(in crate::command) struct GrepArgs {
    /// The job
    job: String,
    #[command(flatten)]
    pattern: Pattern,
    /// Write only how many lines match
    #[arg(short, long)]
    count: bool,
    /// Write each line's number before it
    #[arg(short = 'n', long)]
    line_number: bool,
    /// At most so many lines
    #[arg(short = 'm', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_count: Option<u32>,
    /// An attempt, instead of the newest
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(context: &Context, args: GrepArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let job = client.job(&args.job).await?.value;
    let route = ["projects", job.project_id.as_str(), "jobs", job.id.as_str(), "logs", "search"];
    let (mut cursor, mut left) = (None, args.max_count.unwrap_or(u32::MAX));
    loop {
        let limit = if args.count { 0 } else { left.min(PAGE) };
        let call = args.pattern.ask(client.get(route), limit, cursor.as_ref()).query_opt("attempt", args.attempt);
        let page: Document<Found> = call.document().await?;
        let Found { total, complete, next_cursor, .. } = page.value;
        let found = if total > 0 { Exit::Ok } else { Exit::Failed };
        match context.output.format() {
            Format::Json | Format::Yaml => return context.output.answer(&page.raw, String::new).map(|()| found),
            Format::Ndjson if !args.count => context.output.answer(&page.raw, String::new)?,
            Format::Table if !args.count => lines(context, &args, &page.value.items)?,
            Format::Ndjson | Format::Table => {}
        }
        left -= u32::try_from(page.value.items.len()).unwrap_or(left).min(left);
        let is_done = if args.count { complete } else { left == 0 || next_cursor.is_none() };
        if is_done {
            if args.count {
                context.output.line(&total.to_string())?;
            }
            return Ok(found);
        }
        cursor = further(cursor, next_cursor)?;
    }
}

fn lines(context: &Context, args: &GrepArgs, hits: &[drydock_client::views::Hit]) -> Result<(), CliError> {
    let coloured = context.output.terminal().colours;
    let mut out = String::new();
    for hit in hits {
        if args.line_number {
            out += &format!("{}:", hit.line);
        }
        out += &shown(hit, coloured);
        out.push('\n');
    }
    context.output.data(out.as_bytes())
}
