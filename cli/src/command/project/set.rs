//! `drydock project set`

use std::collections::BTreeMap;

use clap::Args;
use drydock_client::{Document, views::Project};
use serde::Serialize;

use super::{
    super::{Context, Patience, labels::Labels},
    describe,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project set PROJECT --pool gpu
  drydock project set PROJECT --agent codex --label team=web --label stage=beta

What is not given stays; labels are replaced as a whole. Jobs that were submitted before keep the agent, the
pool and the isolation they were accepted with.")]
#[group(id = "settings", required = true, multiple = true, args = ["instruction", "agent", "pool", "label", "no_labels", "min_isolation"])]
pub(in crate::command) struct SetArgs {
    /// The project
    project: String,
    /// What it is, 5 to 2,000 characters
    #[arg(short, long, value_name = "TEXT")]
    instruction: Option<String>,
    /// The agent of jobs that name none
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The pool of workers
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    labels: Labels,
    /// Take all labels off
    #[arg(long, conflicts_with = "label")]
    no_labels: bool,
    /// The least isolation that its jobs accept
    #[arg(long, value_name = "LEVEL")]
    min_isolation: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_isolation: Option<String>,
}

pub(super) async fn run(context: &Context, args: SetArgs) -> Result<Exit, CliError> {
    let SetArgs { project, instruction, agent, pool, labels, no_labels, min_isolation, .. } = args;
    let labels = labels.object().or_else(|| no_labels.then(BTreeMap::new));
    let body = Body { instruction, agent, pool, labels, min_isolation };
    let changed: Document<Project> = context.client()?.patch(["projects", &project]).json(&body).document().await?;
    context.output.note(&format!("changed project {project}"));
    context.output.answer(&changed.raw, || describe(&changed.value)).map(|()| Exit::Ok)
}
