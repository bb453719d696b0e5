//! From what an agent did to a result: one adapter for each protocol.
//!
//! Every run ends with a complete result, whatever the agent left: missing and malformed documents become errors that say so.

mod codex;
mod exit;
mod file;

use bytes::Bytes;
use drydock_domain::agent::{AgentResult, AgentStatus};

use super::{
    ending::Ending,
    exchange::ReadResultError,
    output::{Interpreter, Sink},
    redact::Redactor,
    spec::Protocol,
};

pub(super) use exit::Tail;

/// Bytes of the agent's last words that are kept: the `output` of a job.
pub(super) const MAX_LAST_MESSAGE: usize = 4 * 1024;
/// Bytes of one error or of the summary in a result.
const MAX_TEXT: usize = 4 * 1024;
/// Errors and file names in a result.
const MAX_ERRORS: usize = 100;

/// What is remembered of standard output while it is read.
pub(super) enum Transcript {
    Plain(Tail),
    Codex(Box<codex::Events>),
}

impl Transcript {
    pub(super) fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::File | Protocol::Exit => Self::Plain(Tail::default()),
            Protocol::Codex => Self::Codex(Box::default()),
        }
    }

    /// Bytes of one line that are kept together.
    pub(super) fn max_line(&self) -> usize {
        match self {
            Self::Plain(_) => super::output::MAX_LINE,
            Self::Codex(_) => codex::MAX_EVENT,
        }
    }
}

impl Interpreter for Transcript {
    async fn line(&mut self, line: Bytes, sink: &Sink) {
        match self {
            Self::Plain(tail) => tail.line(line, sink).await,
            Self::Codex(events) => events.line(line, sink).await,
        }
    }
}

/// What is known when an agent has ended.
pub(super) struct Outcome<'a> {
    pub(super) agent: &'a str,
    pub(super) ending: &'a Ending,
    pub(super) transcript: Transcript,
    /// Last lines of standard error, where it is read on its own.
    pub(super) complaints: Tail,
    pub(super) read: Result<AgentResult, ReadResultError>,
}

/// The result and the agent's last words, free of secrets and of bounded length.
pub(super) fn conclude(protocol: Protocol, outcome: Outcome<'_>, redactor: &Redactor) -> (AgentResult, Option<String>) {
    let (mut result, last) = match (protocol, outcome.transcript) {
        (Protocol::File, Transcript::Plain(_)) => file::conclude(outcome.agent, outcome.ending, outcome.read),
        (_, Transcript::Plain(tail)) => exit::conclude(outcome.agent, outcome.ending, &tail),
        (_, Transcript::Codex(events)) => events.conclude(outcome.agent, outcome.ending, &outcome.complaints),
    };
    clean(&mut result, redactor);
    let last = last.map(|text| clip(redactor.text(text.trim()), MAX_LAST_MESSAGE)).filter(|text| !text.is_empty());
    (result, last)
}

/// Adds that the agent did not end well, whatever it says itself.
fn note_ending(result: &mut AgentResult, agent: &str, ending: &Ending) {
    if !ending.is_success() {
        result.status = AgentStatus::Error;
        result.errors.push(format!("{agent} {ending}"));
        if result.summary.is_empty() {
            result.summary = format!("{agent} {ending}");
        }
    }
}

fn clean(result: &mut AgentResult, redactor: &Redactor) {
    let text = |text: &mut String| *text = clip(redactor.text(text), MAX_TEXT);
    text(&mut result.summary);
    result.errors.truncate(MAX_ERRORS);
    result.errors.iter_mut().for_each(text);
    for files in [&mut result.created_files, &mut result.modified_files, &mut result.deleted_files] {
        files.iter_mut().for_each(text);
    }
    for long in [&mut result.logs, &mut result.preview_url].into_iter().flatten() {
        *long = redactor.text(long);
    }
}

/// At most `max` bytes of the beginning, cut between characters.
fn clip(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max - 3).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
