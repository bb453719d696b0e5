//! `drydock workers drain` and `undrain`

use std::time::Duration;

use clap::Args;
use drydock_client::{Client, ClientError, Document, views::Worker};
use tokio::time::{Instant, sleep};

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// Between two looks at a worker that drains.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock workers drain 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --wait --timeout 1h
  drydock workers drain $(drydock --json workers --pool gpu | jq -r '.items[].id')

A drained worker stays, and takes no job until `drydock workers undrain`; its next start is not drained. Its jobs finish, and what
waits goes to others. With --wait, a worker that ends counts as drained, and one that is let take jobs again is exit code 5.
Repeating it changes nothing.")]
pub(super) struct DrainArgs {
    /// The workers' ids
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
    /// Wait until they run nothing
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock workers undrain 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90

It takes jobs within seconds. Of a worker that stops it cannot be asked. Repeating it changes nothing.")]
pub(super) struct UndrainArgs {
    /// The workers' ids
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: DrainArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let mut asked = Vec::new();
    // All of them before any is waited for: what waits shall not go from one to the next.
    for id in &args.workers {
        let worker: Document<Worker> = client.post(["workers", id, "drain"]).repeatable().document().await?;
        if args.wait {
            context.output.note(&standing(&worker.value));
        } else {
            told(context, &worker)?;
        }
        asked.push(worker);
    }
    if !args.wait {
        return Ok(Exit::Ok);
    }
    let again = format!("drydock workers drain {} --wait", args.workers.join(" "));
    context.output.resumable(again);
    let mut worst = Exit::Ok;
    for worker in asked {
        worst = worst.worse(drained(context, &client, worker, deadline).await?);
    }
    Ok(worst)
}

pub(super) async fn undo(context: &Context, args: UndrainArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    for id in &args.workers {
        told(context, &client.delete(["workers", id, "drain"]).document().await?)?;
    }
    Ok(Exit::Ok)
}

/// Looks at a worker until it runs nothing.
async fn drained(
    context: &Context,
    client: &Client,
    mut worker: Document<Worker>,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    loop {
        match worker.value.state.as_str() {
            "drained" => return told(context, &worker).map(|()| Exit::Ok),
            "live" => {
                context.output.warn(&format!("error: {} was let take jobs again", worker.value.id));
                return Ok(Exit::Conflict);
            }
            _ => {}
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now() + LOOK) {
            return Err(CliError::TimeUp);
        }
        sleep(LOOK).await;
        worker = match client.get(["workers", &worker.value.id]).document().await {
            Ok(worker) => worker,
            Err(ClientError::Refused(refusal)) if refusal.status.as_u16() == 404 => {
                context.output.note(&format!("{} has ended", worker.value.id));
                return Ok(Exit::Ok);
            }
            Err(error) => return Err(error.into()),
        };
    }
}

fn told(context: &Context, worker: &Document<Worker>) -> Result<(), CliError> {
    context.output.answer(&worker.raw, || standing(&worker.value))
}

/// `019a… draining, 2 jobs to finish`
fn standing(worker: &Worker) -> String {
    let jobs = match worker.busy {
        0 => String::new(),
        1 => ", 1 job to finish".to_owned(),
        many => format!(", {many} jobs to finish"),
    };
    format!("{} {}{}", worker.id, worker.state, if worker.state == "draining" { jobs } else { String::new() })
}
