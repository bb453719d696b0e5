//! `drydock project files`

use clap::Args;
use drydock_client::{
    Document,
    views::{FileEntry, Files},
};

use super::super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Format, Table},
};

const PAGE: u32 = 10_000;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  drydock files PROJECT\n  drydock project files PROJECT --version 2")]
pub(in crate::command) struct FilesArgs {
    /// The project
    project: String,
    /// A version, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// What this job left, published or not
    #[arg(long, conflicts_with = "version")]
    job: Option<String>,
    /// Start at the `next_cursor` of an earlier page (with -o json or yaml, which write one page)
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(context: &Context, args: FilesArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let mut table = Table::new(&["MODE", "SIZE", "PATH"]).whole();
    let mut cursor = args.cursor;
    loop {
        let call = client.get(["projects", args.project.as_str(), "files"]).query("limit", PAGE);
        let call = call.query_opt("version", args.version).query_opt("job", args.job.as_ref());
        let page: Document<Files> = call.query_opt("cursor", cursor.as_ref()).document().await?;
        match context.output.format() {
            Format::Json | Format::Yaml => return context.output.answer(&page.raw, String::new).map(|()| Exit::Ok),
            Format::Ndjson => context.output.answer(&page.raw, String::new)?,
            Format::Table => {}
        }
        for file in &page.value.files {
            table.row(row(file));
        }
        cursor = page.value.next_cursor;
        if cursor.is_none() || page.value.files.is_empty() {
            break;
        }
    }
    if context.output.is_structured() {
        return Ok(Exit::Ok);
    }
    context.output.data(table.render().as_bytes()).map(|()| Exit::Ok)
}

fn row(file: &FileEntry) -> [String; 3] {
    let path = match &file.link_target {
        Some(target) => format!("{} -> {target}", file.path),
        None => file.path.clone(),
    };
    [file.mode.clone(), file.size.to_string(), path]
}
