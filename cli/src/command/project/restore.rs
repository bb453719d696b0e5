//! `drydock restore`, `drydock project restore`

use clap::Args;
use drydock_client::{Document, views::Version};
use reqwest::header;
use serde_json::json;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock restore PROJECT 3
  drydock project restore PROJECT 3 --if-newest 7

Makes a new version with the files of an older one, and writes its number; where the newest has those
files already, that one's. If another version comes between, nothing is done (exit code 5). Jobs that
run meanwhile and change files run again on the restored ones.")]
pub(in crate::command) struct RestoreArgs {
    /// The project
    project: String,
    /// The version to go back to
    version: u32,
    /// Only while this version is the newest, instead of the one that is now
    #[arg(long, value_name = "N")]
    if_newest: Option<u64>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(context: &Context, args: RestoreArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let newest = match args.if_newest {
        Some(newest) => newest,
        None => client.project(&args.project).await?.value.head_version,
    };
    let number = args.version.to_string();
    let call = client.post(["projects", &args.project, "versions", &number, "restore"]).json(&json!({}));
    let call = call.header(header::IF_MATCH, &format!("\"{newest}\"")).repeatable();
    let version: Document<Version> = call.document().await?;
    let made = version.value.number;
    context.output.note(&format!("version {made} has the files of version {number}"));
    context.output.answer(&version.raw, || made.to_string()).map(|()| Exit::Ok)
}
