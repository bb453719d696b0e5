//! `drydock fork`, `drydock project fork`

use std::collections::BTreeMap;

use clap::Args;
use drydock_client::{Document, views::Project};
use serde::Serialize;

use super::super::{Context, Patience, labels::Labels};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock fork PROJECT
  drydock project fork PROJECT --version 3 --instruction \"The same with a web page\" --label team=web

Makes a project whose first version has the files of one of this project's, and writes its id. No agent
runs. What is not given is as in this project.")]
pub(in crate::command) struct ForkArgs {
    /// The project
    project: String,
    /// A version, instead of the newest; 0 for an empty project
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// What the new project is, 5 to 2,000 characters
    #[arg(short, long, value_name = "TEXT")]
    instruction: Option<String>,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
}

pub(in crate::command) async fn run(context: &Context, args: ForkArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let body = Body { version: args.version, instruction: args.instruction, labels: args.labels.object() };
    let call = client.post(["projects", &args.project, "fork"]).json(&body).idempotent();
    let project: Document<Project> = call.document().await?;
    context.output.note(&format!("forked project {} as {}", args.project, project.value.id));
    context.output.answer(&project.raw, || project.value.id.clone()).map(|()| Exit::Ok)
}
