//! `drydock webhook set`

use clap::Args;
use drydock_client::{Document, views::Webhook};
use serde::Serialize;

use super::{
    super::{Context, Patience},
    describe,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock webhook set WEBHOOK --url https://example.org/hooks/new
  drydock webhook set WEBHOOK --event job.error --event job.cancelled
  drydock webhook set WEBHOOK --resume

What is not given stays. What ends while a webhook is paused is never told. --resume also takes back one that was
disabled, because its receiver answered 410 or could not be reached for days.")]
#[group(id = "settings", required = true, multiple = true, args = ["name", "url", "events", "all_events", "pause", "resume"])]
pub(in crate::command) struct SetArgs {
    /// The webhook
    webhook: String,
    /// What it is for
    #[arg(long)]
    name: Option<String>,
    /// Where messages go
    #[arg(long)]
    url: Option<String>,
    /// Only this event; may be repeated
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Every event
    #[arg(long, conflicts_with = "events")]
    all_events: bool,
    /// Tell it of nothing until resumed
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Tell it again of what ends from now on
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
}

pub(super) async fn run(context: &Context, args: SetArgs) -> Result<Exit, CliError> {
    let SetArgs { webhook, name, url, events, all_events, pause, resume, .. } = args;
    let events = if all_events { Some(vec!["*".to_owned()]) } else { Some(events).filter(|events| !events.is_empty()) };
    let body = Body { name, url, events, paused: (pause || resume).then_some(pause) };
    let changed: Document<Webhook> = context.client()?.patch(["webhooks", &webhook]).json(&body).document().await?;
    context.output.note(&format!("changed webhook {webhook}"));
    context.output.answer(&changed.raw, || describe(&changed.value)).map(|()| Exit::Ok)
}
