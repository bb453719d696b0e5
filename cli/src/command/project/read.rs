//! `drydock project cat`

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _, time::Duration};

use clap::Args;
use drydock_domain::RelativePath;
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

pub(super) async fn run(context: &Context, args: CatArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    // Checked here, because an address cannot hold `..`: it would name another file.
    let invalid = |error| CliError::Usage(format!("'{}' is no path in a project: {error}", args.path.display()));
    let path = RelativePath::new(args.path.as_bytes()).map_err(invalid)?;
    let route = [b"projects", args.project.as_bytes(), b"files"];
    let call = client.get(route.into_iter().chain(path.as_bytes().split(|&byte| byte == b'/')));
    let call = call.query_opt("version", args.version).query_opt("job", args.job.as_ref());
    if context.output.is_json() {
        let content = call.header(header::ACCEPT, "application/json").bytes().await?;
        return context.output.answer(&content, String::new).map(|()| Exit::Ok);
    }
    let mut response = call.send().await?;
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&part)?;
    }
    Ok(Exit::Ok)
}
