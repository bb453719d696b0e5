//! `drydock batch set`, `cancel` and `retry-failed`.

use clap::Args;
use drydock_client::{
    Document,
    views::{Batch, Retried},
};
use serde_json::json;

use super::{
    super::{Context, Patience, labels::Labels},
    describe::describe,
    settings::Settings,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch set BATCH --max-running 50
  drydock batch set BATCH --budget-slot-minutes 600 && drydock batch resume BATCH

Labels given replace all of them; what is not given stays.")]
pub(in crate::command) struct SetArgs {
    /// The batch
    batch: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock batch cancel BATCH --reason \"wrong model\"")]
pub(in crate::command) struct CancelArgs {
    /// The batch
    batch: String,
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn set(context: &Context, args: SetArgs) -> Result<Exit, CliError> {
    let mut body = args.settings.fields();
    if let Some(name) = args.name {
        body.insert("name".to_owned(), name.into());
    }
    if let Some(labels) = args.labels.object() {
        body.insert("labels".to_owned(), json!(labels));
    }
    if body.is_empty() {
        return Err(CliError::Usage("nothing to change: give a name, labels or a limit".to_owned()));
    }
    let client = context.client()?;
    let batch: Document<Batch> = client.patch(["batches", args.batch.as_str()]).json(&body).document().await?;
    context.output.answer(&batch.raw, || describe(&batch.value)).map(|()| Exit::Ok)
}

pub(super) async fn cancel(context: &Context, args: CancelArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let body = args.reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
    let call = client.post(["batches", args.batch.as_str(), "cancel"]).json(&body);
    let batch: Document<Batch> = call.repeatable().document().await?;
    context.output.answer(&batch.raw, || describe(&batch.value)).map(|()| Exit::Ok)
}

pub(super) async fn retry_failed(context: &Context, id: &str) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = client.post(["batches", id, "retry-failed"]).json(&json!({}));
    let retried: Document<Retried> = call.repeatable().document().await?;
    context.output.note(&format!("{} lines run again", retried.value.retried));
    context.output.answer(&retried.raw, || describe(&retried.value.batch)).map(|()| Exit::Ok)
}
