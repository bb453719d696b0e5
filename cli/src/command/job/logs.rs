//! `drydock job logs`: the bytes as they are, or followed as text through every attempt.

use std::{ops::ControlFlow, time::Duration};

use clap::Args;
use drydock_client::{Client, views::Job};
use drydock_runtime::Backoff;
use serde::Deserialize;
use tokio::time::sleep;

use super::super::{Context, Patience};
use crate::{CliError, Exit};

/// How long each part of a log may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job logs JOB
  drydock logs JOB -f
  drydock job logs JOB --attempt 1

Without -f all that is there now is written, byte for byte. With -f the log is followed to the
job's end, over restarts of the server and into further attempts; bytes that are no UTF-8 are
then replaced.")]
pub(in crate::command) struct LogsArgs {
    /// The job
    job: String,
    /// Follow the log until the job is over
    #[arg(short, long)]
    follow: bool,
    /// An attempt, instead of the newest
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

#[derive(Deserialize)]
struct Piece {
    text: String,
}

pub(in crate::command) async fn run(context: &Context, args: LogsArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let job = read(&client, &args.job).await?;
    if args.follow {
        context.output.resumable(format!("drydock job logs {} -f", args.job));
        return follow(context, &client, job, args.attempt).await;
    }
    let route = ["projects", job.project_id.as_str(), "jobs", job.id.as_str(), "logs"];
    let mut response = client.get(route).query_opt("attempt", args.attempt).send().await?;
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        context.output.data(&part)?;
    }
    Ok(Exit::Ok)
}

async fn read(client: &Client, id: &str) -> Result<Job, CliError> {
    Ok(client.job(id).await?.value)
}

/// One attempt's log after the other, until the job is over.
async fn follow(context: &Context, client: &Client, mut job: Job, only: Option<u32>) -> Result<Exit, CliError> {
    let newest = job.attempts.last().map_or(1, |attempt| attempt.number);
    let mut number = only.unwrap_or(newest);
    loop {
        if !begun(client, &mut job, number).await? {
            return Ok(Exit::Ok);
        }
        attempt(context, client, &job, number).await?;
        if only.is_some() {
            return Ok(Exit::Ok);
        }
        number += 1;
        context.output.note(&format!("end of attempt {}", number - 1));
    }
}

/// Waits for an attempt to begin; not, when the job ends without. A place in one attempt's log means nothing in another's, so
/// the stream is only opened by number.
async fn begun(client: &Client, job: &mut Job, number: u32) -> Result<bool, CliError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        *job = read(client, &job.id).await?;
        if job.attempts.iter().any(|attempt| attempt.number == number) {
            return Ok(true);
        }
        if Exit::of_status(&job.status).is_some() {
            return Ok(false);
        }
        sleep(Duration::from_millis(50) + backoff.next_delay()).await;
    }
}

async fn attempt(context: &Context, client: &Client, job: &Job, number: u32) -> Result<(), CliError> {
    let route = ["projects", job.project_id.as_str(), "jobs", job.id.as_str(), "logs", "stream"];
    client
        .follow::<CliError>(
            |client| client.get(route).query("attempt", number),
            |event| {
                if event.name == "log"
                    && let Ok(piece) = serde_json::from_str::<Piece>(&event.data)
                {
                    context.output.data(piece.text.as_bytes())?;
                }
                Ok(ControlFlow::Continue(()))
            },
        )
        .await
}
