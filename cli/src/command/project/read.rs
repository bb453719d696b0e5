//! `drydock project cat`

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    time::Duration,
};

use clap::Args;
use drydock_client::FilePath;
use reqwest::header;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// How long each part of a file may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project cat PROJECT app.py
  drydock project cat PROJECT src/main.rs --version 1 > main.rs")]
pub(in crate::command) struct CatArgs {
    /// The project
    project: String,
    /// The file's path in it
    path: OsString,
    /// A version, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// What this job left, published or not
    #[arg(long, conflicts_with = "version")]
    job: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

/// A file of a project, as the command line names it.
pub(super) fn file<'p>(project: &'p str, path: &OsStr) -> Result<FilePath<'p>, CliError> {
    let invalid = |error| CliError::Usage(format!("'{}' is no path in a project: {error}", path.display()));
    FilePath::new(project, path.as_bytes()).map_err(invalid)
}

pub(super) async fn run(context: &Context, args: CatArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = client.read_file(&file(&args.project, &args.path)?);
    let call = call.query_opt("version", args.version).query_opt("job", args.job.as_ref());
    if context.output.is_structured() {
        let content = call.header(header::ACCEPT, "application/json").bytes().await?;
        return context.output.answer(&content, String::new).map(|()| Exit::Ok);
    }
    let mut response = call.send().await?;
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&part)?;
    }
    Ok(Exit::Ok)
}
