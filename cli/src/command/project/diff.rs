//! `drydock diff`, `drydock project diff`

use std::{fmt::Write as _, time::Duration};

use clap::Args;
use drydock_client::{
    Client, Document,
    views::{Diff, FileDiff},
};
use reqwest::header;

use super::super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Painter, one_line},
};

/// How long each part of a patch may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Files of one page, when they are only counted or named.
const PAGE: u32 = 1_000;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock diff PROJECT 1 2
  drydock diff PROJECT 1 2 --stat
  drydock project diff PROJECT 1 2 | git apply

Writes a patch in git's form, coloured on a terminal. Files that are binary or too large are named in a
comment, and counted on standard error. Version 0 is the empty one.")]
pub(in crate::command) struct DiffArgs {
    /// The project
    project: String,
    /// The version before
    from: u32,
    /// The version after
    to: u32,
    /// Count the lines of each file instead
    #[arg(long, conflicts_with = "name_only")]
    stat: bool,
    /// Name the files only
    #[arg(long)]
    name_only: bool,
    /// Only this file, or what is below this directory
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(context: &Context, args: DiffArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    if context.output.is_structured() {
        let diff = call(&client, &args).header(header::ACCEPT, "application/json").bytes().await?;
        return context.output.answer(&diff, String::new).map(|()| Exit::Ok);
    }
    if args.stat || args.name_only {
        return listed(context, &client, &args).await;
    }
    let mut response = call(&client, &args).header(header::ACCEPT, "text/x-diff").send().await?;
    let mut painter = Painter::new(context.output.terminal().colours);
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&painter.feed(&part))?;
    }
    context.output.data(&painter.end())?;
    if painter.comments() > 0 {
        let count = painter.comments();
        context.output.note(&format!("{count} files are not in the patch: see the lines that begin with #"));
    }
    Ok(Exit::Ok)
}

fn call<'c>(client: &'c Client, args: &DiffArgs) -> drydock_client::Call<'c> {
    let (from, to) = (args.from.to_string(), args.to.to_string());
    let call = client.get(["projects", &args.project, "versions", &from, "diff", &to]);
    call.query_opt("path", args.path.as_ref())
}

/// One line a file, and a sum.
async fn listed(context: &Context, client: &Client, args: &DiffArgs) -> Result<Exit, CliError> {
    let (mut files, mut additions, mut deletions) = (0_usize, 0, 0);
    let mut cursor = None;
    loop {
        let call = call(client, args).query("limit", PAGE).query("patch", !args.name_only);
        let page: Document<Diff> = call.query_opt("cursor", cursor.as_ref()).document().await?;
        let mut text = String::new();
        for file in &page.value.files {
            additions += file.additions.unwrap_or(0);
            deletions += file.deletions.unwrap_or(0);
            let line = if args.name_only { one_line(&file.path) } else { stat(file) };
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{line}");
        }
        files += page.value.files.len();
        context.output.data(text.as_bytes())?;
        cursor = page.value.next_cursor;
        if cursor.is_none() || page.value.files.is_empty() {
            break;
        }
    }
    if args.stat {
        context.output.line(&format!("{files} files changed, {additions} insertions(+), {deletions} deletions(-)"))?;
    }
    Ok(Exit::Ok)
}

/// `modified  src/main.rs  +3 -1`
fn stat(file: &FileDiff) -> String {
    let path = match &file.old_path {
        Some(old) => format!("{} => {}", one_line(old), one_line(&file.path)),
        None => one_line(&file.path),
    };
    let lines = match (file.additions, file.deletions) {
        (Some(more), Some(less)) => format!("+{more} -{less}"),
        _ => file.omitted.as_deref().unwrap_or_default().replace('_', " "),
    };
    format!("{:12}  {path}  {lines}", file.change)
}
