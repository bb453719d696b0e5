//! `drydock batch grep`: which jobs of a batch printed it, how often, and what.

use std::collections::BTreeMap;

use clap::Args;
use drydock_client::{
    Document,
    views::{BatchFound, Hit, JobFound},
};

use super::{
    super::{
        Context, Patience,
        grep::{Pattern, further},
    },
    results::Which,
};
use crate::{
    CliError, Exit,
    output::{Format, Table},
};

/// Jobs of one page (`GET /api/v1/limits`).
const PAGE: u32 = 500;
/// Bytes shown of a line before what matches.
const BEFORE: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 where a job printed it, 1 where none did, as grep has it.

Examples:
  drydock batch grep BATCH -F 'Segmentation fault'
  drydock batch grep BATCH 'error\\[E[0-9]+\\]' --group
  drydock batch grep BATCH panicked --status error -c
  drydock -o ndjson batch grep BATCH panicked | jq -r .job_id

One row a job, with the number of its matching lines and the first of them. --group counts jobs by what matched first in each. Of a line
that was run again the newest job counts, of a job the newest attempt. With --json one page is written; its next_cursor is for the API.")]
pub(in crate::command) struct GrepArgs {
    /// The batch
    batch: String,
    #[command(flatten)]
    pattern: Pattern,
    /// Write only how many jobs printed it
    #[arg(short, long, conflicts_with = "group")]
    count: bool,
    /// Count jobs by what matched
    #[arg(short, long)]
    group: bool,
    /// In whose logs
    #[arg(long, value_enum, default_value_t = Which::All)]
    status: Which,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: GrepArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let route = ["batches", args.batch.as_str(), "logs", "search"];
    let (mut cursor, mut found, mut unreadable) = (None, Vec::<JobFound>::new(), 0);
    loop {
        let call = args.pattern.ask(client.get(route), PAGE, cursor.as_ref()).query("status", args.status.word());
        let page: Document<BatchFound> = call.document().await?;
        match context.output.format() {
            Format::Json | Format::Yaml => {
                let exit = if page.value.items.is_empty() { Exit::Failed } else { Exit::Ok };
                return context.output.answer(&page.raw, String::new).map(|()| exit);
            }
            Format::Ndjson if !args.count && !args.group => context.output.answer(&page.raw, String::new)?,
            Format::Ndjson | Format::Table => {}
        }
        unreadable += page.value.unreadable.len();
        page.value.items.into_iter().for_each(|item| add(&mut found, item));
        cursor = further(cursor, page.value.next_cursor)?;
        if cursor.is_none() {
            break;
        }
    }
    if unreadable > 0 {
        context.output.warn(&format!("logs of {unreadable} jobs cannot be read: they are not in this"));
    }
    show(context, &args, &found)?;
    Ok(if found.is_empty() { Exit::Failed } else { Exit::Ok })
}

/// A job whose log is told in two pages is one.
fn add(found: &mut Vec<JobFound>, item: JobFound) {
    match found.last_mut().filter(|last| last.job_id == item.job_id) {
        Some(last) => last.total += item.total,
        None => found.push(item),
    }
}

fn show(context: &Context, args: &GrepArgs, found: &[JobFound]) -> Result<(), CliError> {
    if args.count {
        return context.output.line(&found.len().to_string());
    }
    if context.output.is_structured() && !args.group || found.is_empty() {
        return Ok(());
    }
    let table = if args.group { groups(found) } else { jobs(found) };
    context.output.data(table.render().as_bytes())
}

fn jobs(found: &[JobFound]) -> Table {
    let mut table = Table::new(&["LINE", "JOB", "STATUS", "MATCHES", "FIRST"]);
    for job in found {
        let first = near_match(&job.first);
        table.row([job.line.to_string(), job.job_id.clone(), job.status.clone(), job.total.to_string(), first]);
    }
    table
}

/// The line from shortly before what matches in it: cells are cut.
fn near_match(hit: &Hit) -> String {
    let start = hit.ranges.first().map_or(0, |(start, _)| start.saturating_sub(BEFORE));
    match hit.text.floor_char_boundary(start) {
        0 => hit.text.clone(),
        start => format!("…{}", &hit.text[start..]),
    }
}

fn groups(found: &[JobFound]) -> Table {
    let mut groups: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for job in found {
        let first = job.first.ranges.first().and_then(|(start, end)| job.first.text.get(*start..*end));
        groups.entry(first.unwrap_or_default()).or_insert((0, &job.job_id)).0 += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (jobs, _))| std::cmp::Reverse(*jobs));
    let mut table = Table::new(&["JOBS", "FIRST JOB", "MATCHED"]);
    for (text, (jobs, first)) in groups {
        table.row([jobs.to_string(), first.to_owned(), text.to_owned()]);
    }
    table
}
