//! `GET …/logs/stream`: the log as it grows, from byte 0 or from where the client was, until the attempt is over.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{job, log_read, log_read::AttemptLog};
use drydock_domain::{JobId, TenantId};
use serde_json::json;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

use super::reader::{LogReader, Step};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
    stream::{self, Closed, Format, Frame, Outlet, StreamLine},
};

/// How often a stream looks at most, however busy the fleet is, and at least, should no wake-up come.
const PACE: Duration = Duration::from_millis(25);
const NET: Duration = Duration::from_millis(250);

/// What a `data` line holds: text, or what is said at the end.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents the frames, which are written by hand")]
pub(crate) enum LogFrame {
    Text(LogText),
    End(LogEnd),
}

/// The last frame.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct LogEnd {
    job_id: uuid::Uuid,
    /// Which try; null where there was none.
    attempt: Option<i16>,
    /// Where the log ends, in bytes.
    offset: u64,
}

/// A piece of the log.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct LogText {
    /// Where the text starts in the log, in bytes; the event's id is where it ends.
    offset: u64,
    /// The bytes as text; those that are no UTF-8 show as U+FFFD.
    text: String,
}

/// Follow a log
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/jobs/{job_id}/logs/stream", tag = "logs",
    params(
        ("id" = uuid::Uuid, Path), ("job_id" = uuid::Uuid, Path),
        ("attempt" = Option<u16>, Query, description = "Which try, the newest by default"),
        ("after" = Option<u64>, Query, description = "Start at this byte; `Last-Event-ID` wins"),
    ),
    responses((status = 200, description = "The log, then `end`; NDJSON by `Accept`", content((LogFrame = "text/event-stream"), (StreamLine = "application/x-ndjson"))))
)]
pub(crate) async fn follow_log(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let (after, rest) = query.split("after");
    let start: Option<u64> = stream::resume_after(&headers, after.fields(), "a byte offset")?;
    let (job, number, log) = super::find(&app, caller.tenant, &ids, rest.fields()).await?;
    let source = app.clone();
    stream::open(&app, caller, Format::wanted(&headers), move |outlet| async move {
        let mut follower =
            Follower { wakes: source.feed.wakes(), app: source, tenant: caller.tenant, outlet, looked: Instant::now() };
        if let Err(Stop::Failed(error)) = follower.run(job, number, log, start.unwrap_or_default()).await {
            tracing::warn!(?error, "failed to stream a log");
        }
    })
}

enum Stop {
    /// The client is gone or the service stops.
    Closed,
    /// The client comes back to where it was, perhaps to a replica that can read.
    Failed(ApiError),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Follower {
    app: Shared,
    tenant: TenantId,
    outlet: Outlet,
    wakes: watch::Receiver<u64>,
    looked: Instant,
}

impl Follower {
    async fn run(&mut self, job: JobId, number: Option<i16>, log: Option<AttemptLog>, start: u64) -> Result<(), Stop> {
        let log = match log {
            Some(log) => Some(log),
            None => self.first_attempt(job, number).await?,
        };
        let attempt = log.as_ref().map(|log| log.number);
        let mut offset = start;
        if let Some(log) = log {
            let mut reader = LogReader::new(self.app.clone(), self.tenant, log, start);
            let mut text = Text::default();
            loop {
                match reader.next().await? {
                    Step::Bytes(bytes) => self.send(text.push(&bytes), reader.offset() - text.held()).await?,
                    Step::Wait => self.pause().await?,
                    Step::End => break,
                }
            }
            offset = reader.offset();
            self.send(text.rest(), offset).await?;
        }
        Ok(self.outlet.send(&Frame::End(json!({"job_id": job, "attempt": attempt, "offset": offset}))).await?)
    }

    /// Waits for the job to be tried; none when it ends without.
    async fn first_attempt(&mut self, job: JobId, number: Option<i16>) -> Result<Option<AttemptLog>, Stop> {
        loop {
            let client = self.app.client(self.tenant).await?;
            let state = job::state(&client, self.tenant, job).await?;
            let log = log_read::of_job(&client, job, number).await?;
            drop(client);
            if log.is_some() || state.is_none_or(drydock_domain::JobState::is_terminal) {
                return Ok(log);
            }
            self.pause().await?;
        }
    }

    async fn send(&mut self, text: (u64, String), end: u64) -> Result<(), Stop> {
        let (length, text) = text;
        if length == 0 {
            return Ok(());
        }
        let data = json!({"offset": end - length, "text": text});
        Ok(self.outlet.send(&Frame::Event { id: end.to_string(), name: "log".to_owned(), data }).await?)
    }

    /// Until something may have been written, by a wake-up or the clock.
    async fn pause(&mut self) -> Result<(), Closed> {
        let (wakes, earliest) = (&mut self.wakes, self.looked + PACE);
        let news = async {
            let _woken_or_time = tokio::time::timeout(NET, wakes.changed()).await;
            tokio::time::sleep_until(earliest).await;
        };
        self.outlet.wait(news).await?;
        self.looked = Instant::now();
        Ok(())
    }
}

/// Bytes become text without cutting a character in two: an unfinished one at the end waits for the rest.
#[derive(Default)]
struct Text {
    held: Vec<u8>,
}

impl Text {
    /// The text that is complete now, and how many bytes it stands for.
    fn push(&mut self, bytes: &[u8]) -> (u64, String) {
        self.held.extend_from_slice(bytes);
        let unfinished = match self.held.utf8_chunks().last().map(|last| last.invalid().to_vec()) {
            Some(tail) if starts_character(&tail) => tail,
            _ => Vec::new(),
        };
        let complete = self.held.len() - unfinished.len();
        let text = String::from_utf8_lossy(&self.held[..complete]).into_owned();
        self.held = unfinished;
        (complete as u64, text)
    }

    /// What is still held: nothing more will complete it.
    fn rest(&mut self) -> (u64, String) {
        let held = std::mem::take(&mut self.held);
        (held.len() as u64, String::from_utf8_lossy(&held).into_owned())
    }

    fn held(&self) -> u64 {
        self.held.len() as u64
    }
}

/// Whether more bytes could make these a character (at most three are missing a fourth).
fn starts_character(tail: &[u8]) -> bool {
    std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let whole = "a€😀b\u{fffd}ü".as_bytes();
        for cut in 0..=whole.len() {
            let mut text = Text::default();
            let (first, rest) = whole.split_at(cut);
            let parts = [text.push(first), text.push(rest), text.rest()];
            let bytes: u64 = parts.iter().map(|part| part.0).sum();
            let joined: String = parts.into_iter().map(|part| part.1).collect();
            assert_eq!((bytes, joined.as_bytes()), (whole.len() as u64, whole), "cut at {cut}");
        }
    }

    #[test]
    fn other_bytes_are_replaced_at_once() {
        let mut text = Text::default();
        assert_eq!(text.push(b"\xff\xfe"), (2, "\u{fffd}\u{fffd}".to_owned()));
        assert_eq!(text.push(b"a\xe2\x82"), (1, "a".to_owned()));
        assert_eq!(text.held(), 2);
        assert_eq!(text.push(b"b"), (3, "\u{fffd}b".to_owned()));
        assert_eq!(text.push(b"\xf0"), (0, String::new()));
        assert_eq!(text.rest(), (1, "\u{fffd}".to_owned()));
    }
}
