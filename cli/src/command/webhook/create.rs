//! `drydock webhook create`

use clap::Args;
use drydock_client::{Document, views::NewSecret};
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock webhook create ci https://example.org/hooks/drydock > secret.txt
  drydock webhook create alarm https://example.org/alarm --event job.error --event batch.finished
  drydock webhook create site https://example.org/site --project PROJECT

Writes the secret that signatures are checked with, once: nobody can show it again. Messages are signed as Standard
Webhooks (standardwebhooks.com) has it, and its libraries check them. Events: job.completed, job.error, job.cancelled,
batch.finished; all by default.")]
pub(in crate::command) struct CreateArgs {
    /// What it is for
    name: String,
    /// Where messages go: https://…
    url: String,
    /// Only this event; may be repeated
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Only the jobs of this project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Begin paused
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    name: String,
    url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
}

pub(super) async fn run(context: &Context, args: CreateArgs) -> Result<Exit, CliError> {
    let CreateArgs { name, url, events, project, paused, .. } = args;
    let body = Body { name, url, events, project_id: project, paused };
    // Sent once: an answer that gets lost may have made a webhook, which the list shows.
    let made: Document<NewSecret> = context.client()?.post(["webhooks"]).json(&body).document().await?;
    let NewSecret { id, secret, .. } = &made.value;
    context.output.note(&format!("made webhook {id}; its secret is shown this once"));
    context.output.answer(&made.raw, || secret.clone()).map(|()| Exit::Ok)
}
