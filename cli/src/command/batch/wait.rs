//! `drydock batch wait`

use std::{ops::ControlFlow, time::Duration};

use clap::Args;
use drydock_client::{Client, sse::Event, views::Batch};
use tokio::time::{Instant, timeout_at};

use super::{
    super::{Context, Patience},
    describe::{describe, is_over, pause, progress},
};
use crate::{
    CliError, Exit,
    output::{Progress, Unit},
};

/// Between two lines on how it goes.
const TOLD_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch wait BATCH
  drydock batch wait BATCH --timeout 2h && drydock batch results BATCH > results.ndjson

Exit codes: 0 all jobs completed, 1 one failed or the batch paused by its own rules, 8 cancelled, 7 not over in
time. Restarts of the server are waited out.")]
pub(in crate::command) struct WaitBatchArgs {
    /// The batch
    batch: String,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: WaitBatchArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    until_over(context, &context.client()?, &args.batch, deadline).await
}

/// Waits until the batch is over, or has paused by itself: somebody has to look then.
pub(super) async fn until_over(
    context: &Context,
    client: &Client,
    id: &str,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    context.output.resumable(format!("drydock batch wait {id}"));
    let bar = Progress::begin(&context.output, "batch", Unit::Jobs, Some(0));
    let (mut last, mut told_at) = (String::new(), None::<Instant>);
    let following = client.follow::<CliError>(
        |client| client.get(["batches", id, "events"]),
        |event| {
            let Ok(batch) = serde_json::from_str::<Batch>(&event.data) else {
                return Ok(ControlFlow::Continue(()));
            };
            let text = format!("{}: {}", batch.status_detail, progress(&batch));
            let due = told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) || stands_still(&batch);
            let ended = batch.total.saturating_sub(batch.counts.queued + batch.counts.in_progress);
            let shown = bar.stands(ended, batch.total, &text);
            if !shown && due && text != last && !is_over(&batch) {
                context.output.note(&format!("{id} {text}"));
                (last, told_at) = (text, Some(Instant::now()));
            }
            Ok(if ends(event, &batch) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        },
    );
    match deadline {
        None => following.await?,
        Some(deadline) => match timeout_at(deadline, following).await {
            Ok(followed) => followed?,
            Err(_) => {
                context.output.note(&format!("{id} is not over yet"));
                return Ok(Exit::TimedOut);
            }
        },
    }
    drop(bar);
    let batch = client.batch(id).await?;
    context.output.answer(&batch.raw, || describe(&batch.value))?;
    Ok(Exit::of_status(&batch.value.status).unwrap_or(Exit::Failed))
}

fn ends(event: &Event, batch: &Batch) -> bool {
    event.name == "end" || stands_still(batch)
}

/// Paused by its own rules: it does not go on by itself.
fn stands_still(batch: &Batch) -> bool {
    batch.pause_reason.as_deref().is_some_and(|reason| reason != "asked")
        && batch.counts.in_progress == 0
        && pause(batch).is_some()
}
