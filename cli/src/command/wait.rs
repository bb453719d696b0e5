//! Waiting for a job while telling how it goes: the end comes from long polls, the lines between from the job's events.

use std::{ops::ControlFlow, time::Duration};

use clap::Args;
use drydock_client::{Client, Waited, sse::Event};
use drydock_runtime::config::positive_duration;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::Context;
use crate::{CliError, Exit, output::seconds};

/// How long the last events may take once the end is known.
const LAST_EVENTS: Duration = Duration::from_millis(500);

/// Whether and how long to wait.
#[derive(Clone, Copy, Debug, Args)]
#[expect(clippy::option_option, reason = "absent, without a value, with one")]
pub(super) struct WaitArgs {
    /// Wait until the job is over, at most this long if a time like 60s is given
    #[arg(long, value_name = "TIME", num_args = 0..=1, value_parser = positive_duration)]
    wait: Option<Option<Duration>>,
}

impl WaitArgs {
    /// Whether to wait at all.
    pub(super) const fn wanted(self) -> bool {
        self.wait.is_some()
    }

    /// The earlier of its own deadline and the command's.
    pub(super) fn deadline(self, command: Option<Instant>) -> Option<Instant> {
        let own = self.wait.flatten().map(|time| Instant::now() + time);
        own.into_iter().chain(command).min()
    }
}

/// What an event says, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    status: Option<String>,
    status_detail: Option<String>,
    message: Option<String>,
    attempt: Option<i64>,
}

impl Said {
    /// Reads an event's data; one that is not understood is not shown.
    pub(super) fn read(event: &Event) -> Option<Self> {
        serde_json::from_str(&event.data).ok()
    }

    /// Whether it tells of the job's end, which whoever waits is told otherwise.
    fn is_end(&self) -> bool {
        self.status.as_deref().and_then(Exit::of_status).is_some()
    }

    /// `in_progress: running (attempt 2)`
    pub(super) fn text(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in [&self.status, &self.status_detail, &self.message].into_iter().flatten() {
            if !parts.contains(&part.as_str()) {
                parts.push(part);
            }
        }
        let text = parts.join(": ");
        match self.attempt {
            Some(number) if number > 1 => format!("{text} (attempt {number})"),
            _ => text,
        }
    }
}

/// Waits for one job; every change is a line on standard error.
pub(super) async fn one(
    context: &Context,
    client: &Client,
    id: &str,
    deadline: Option<Instant>,
) -> Result<Waited, CliError> {
    context.output.resumable(format!("drydock job wait {id}"));
    if context.output.is_quiet() {
        return Ok(client.wait_for(id, deadline).await?);
    }
    let mut last = String::new();
    // Its own retries are silent: the poll beside it tells of a server that is away.
    let watcher = client.clone().with_notice(std::sync::Arc::new(|_| {}));
    let watching = watcher.follow::<CliError>(
        |client| client.get(["jobs", id, "events"]),
        |event| {
            let said = Said::read(event).filter(|said| !said.is_end());
            if let Some(text) = said.map(|said| said.text()).filter(|text| *text != last) {
                context.output.note(&format!("{id} {text}"));
                last = text;
            }
            Ok(ControlFlow::Continue(()))
        },
    );
    let mut watching = std::pin::pin!(watching);
    let mut over = std::pin::pin!(client.wait_for(id, deadline));
    tokio::select! {
        waited = &mut over => {
            let _late = timeout(LAST_EVENTS, watching).await;
            return Ok(waited?);
        }
        _ended = &mut watching => {}
    }
    Ok(over.await?)
}

/// One line on how a wait ended.
pub(super) fn summary(id: &str, waited: &Waited) -> String {
    let Waited::Over(_, job) = waited else {
        return format!("{id} is not over yet");
    };
    let job = &job.value;
    let mut text = format!("{id} {}", job.status);
    if let Some(end) = job.finished_at {
        let took = (end - job.created_at).to_std().unwrap_or_default();
        text.push_str(&format!(" after {}", seconds(took.as_secs_f64())));
    }
    for error in &job.errors {
        text.push_str(&format!("; {error}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &str) -> String {
        let event = Event { data: data.to_owned(), ..Event::default() };
        Said::read(&event).unwrap().text()
    }

    #[test]
    fn events_are_lines() {
        assert_eq!(text(r#"{"status":"completed","status_detail":"completed","attempt":1}"#), "completed");
        assert_eq!(
            text(r#"{"status":"in_progress","status_detail":"running","attempt":2}"#),
            "in_progress: running (attempt 2)"
        );
        assert_eq!(text(r#"{"message":"creating the workspace","attempt":1,"job_id":"x"}"#), "creating the workspace");
    }
}
