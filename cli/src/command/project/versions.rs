//! `drydock versions`, `drydock project versions`

use clap::Args;
use drydock_client::views::Version;

use super::super::{Context, Patience, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, mebibytes, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  drydock versions PROJECT\n  drydock project versions PROJECT --limit 5")]
pub(in crate::command) struct VersionsArgs {
    /// The project
    project: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn list(context: &Context, args: VersionsArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let table = Table::new(&["VERSION", "FILES", "SIZE", "CREATED", "BY", "CHANGED", "WHAT"]);
    let row = |version: &Version| {
        vec![
            version.number.to_string(),
            version.file_count.to_string(),
            mebibytes(version.total_bytes),
            time(version.created_at),
            version.author_kind.clone(),
            changed(version),
            what(version),
        ]
    };
    let call = || client.get(["projects", args.project.as_str(), "versions"]);
    super::super::list::show(context, args.paging, call, table, row).await
}

/// `+2 ~1 -0`: files created, modified, deleted.
fn changed(version: &Version) -> String {
    let told = version.changes.as_ref().map(|it| format!("+{} ~{} -{}", it.created, it.modified, it.deleted));
    told.unwrap_or_default()
}

/// The job's title, or what was copied.
fn what(version: &Version) -> String {
    match (&version.job, version.source_version) {
        (Some(job), _) => job.title.clone(),
        (None, Some(source)) if version.author_kind == "fork" => format!("of {} version {source}", version.author_id),
        (None, Some(source)) => format!("of version {source}"),
        (None, None) => String::new(),
    }
}
