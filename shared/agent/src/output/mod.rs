//! What an agent says: pipes are read as bytes, cut into lines, freed of secrets, and handed over one at a time.
//!
//! Nothing is dropped and nothing grows: when the receiver is slow, the agent waits on its pipe.

mod lines;
mod pipe;
mod said;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{heard::Heard, redact::Redactor};

pub use lines::Lines;
pub(super) use pipe::{Interpreter, idle_after, read};
pub(crate) use said::Said;

/// Bytes of one line at most; longer ones arrive in pieces of this size.
pub(super) const MAX_LINE: usize = 16 * 1024;
/// Characters of a progress text at most.
const MAX_PROGRESS: usize = 240;

/// One thing an agent said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentOutput {
    /// A line of output as bytes, without its newline, without secrets, at most 16 KiB.
    Line(Bytes),
    /// What it is doing now, as one short text for people.
    Progress(String),
}

/// The way to the receiver. Clones share it.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) sender: mpsc::Sender<AgentOutput>,
    pub(super) redactor: Arc<Redactor>,
    /// Once cancelled, what cannot be handed over at once is dropped: the run is being given up.
    pub(super) abandoned: CancellationToken,
    /// Told of every read.
    pub(super) heard: Heard,
    /// Counts what is read.
    pub(super) said: Arc<Said>,
}

impl Sink {
    /// Frees a line of secrets and hands it over.
    pub(super) async fn line(&self, line: impl Into<Bytes>) {
        self.clean_line(self.redactor.bytes(line.into())).await;
    }

    /// Hands over a line that is free of secrets already, in pieces when it is long.
    pub(super) async fn clean_line(&self, line: Bytes) {
        let mut rest = line;
        while rest.len() > MAX_LINE {
            let piece = rest.split_to(MAX_LINE);
            self.send(AgentOutput::Line(piece)).await;
        }
        self.send(AgentOutput::Line(rest)).await;
    }

    /// Hands over several lines of text.
    pub(super) async fn lines(&self, text: &str) {
        for line in text.lines() {
            self.line(Bytes::copy_from_slice(line.as_bytes())).await;
        }
    }

    /// Hands over the first line of `text` as progress, shortened.
    pub(super) async fn progress(&self, text: &str) {
        let clean = self.redactor.text(text);
        let first = clean.lines().next().unwrap_or_default();
        let mut short: String = first.chars().filter(|c| !c.is_control()).take(MAX_PROGRESS).collect();
        if first.chars().count() > MAX_PROGRESS {
            short.push('…');
        }
        self.send(AgentOutput::Progress(short)).await;
    }

    /// A receiver that is gone wants no more; the agent must still be read, or it would block.
    async fn send(&self, output: AgentOutput) {
        tokio::select! {
            biased;
            _ = self.sender.send(output) => {}
            () = self.abandoned.cancelled() => {}
        }
    }
}
