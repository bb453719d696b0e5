//! `drydock project versions` and `drydock project diff`

use clap::Args;
use reqwest::header;

use super::super::{Context, Patience, list::Paging};
use crate::{
    CliError, Exit,
    client::views::Version,
    output::{Table, mebibytes, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock project versions PROJECT")]
pub(in crate::command) struct VersionsArgs {
    /// The project
    project: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project diff PROJECT 1 2
  drydock project diff PROJECT 1 2 | git apply

Writes a patch in git's form; files that are binary or too large are named in a comment. Version 0
is the empty one.")]
pub(in crate::command) struct DiffArgs {
    /// The project
    project: String,
    /// The version before
    from: u32,
    /// The version after
    to: u32,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn list(context: &Context, args: VersionsArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let table = Table::new(&["VERSION", "FILES", "SIZE", "CREATED", "BY", "ID"]);
    let row = |version: &Version| {
        vec![
            version.number.to_string(),
            version.file_count.to_string(),
            mebibytes(version.total_bytes),
            time(version.created_at),
            version.author_kind.clone(),
            version.author_id.clone(),
        ]
    };
    let call = || client.get(["projects", args.project.as_str(), "versions"]);
    super::super::list::show(context, args.paging, call, table, row).await
}

pub(super) async fn diff(context: &Context, args: DiffArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let (from, to) = (args.from.to_string(), args.to.to_string());
    let call = client.get(["projects", &args.project, "versions", &from, "diff", &to]);
    let kind = if context.output.is_json() { "application/json" } else { "text/plain" };
    let diff = call.header(header::ACCEPT, kind).bytes().await?;
    if context.output.is_json() {
        context.output.answer(&diff, String::new)?;
    } else {
        context.output.data(&diff)?;
    }
    Ok(Exit::Ok)
}
