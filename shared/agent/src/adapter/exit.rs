//! Agents whose exit status is their answer, and whose last words are the explanation.

use bytes::Bytes;
use drydock_domain::agent::AgentResult;

use super::{MAX_LAST_MESSAGE, note_ending};
use crate::{
    ending::Ending,
    output::{Interpreter, Sink},
};

/// The last lines of a stream, at most [`MAX_LAST_MESSAGE`] bytes.
#[derive(Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, line: &[u8]) {
        // Trimmed only at twice the size, so that a flood of short lines costs no move each.
        if self.bytes.len() > 2 * MAX_LAST_MESSAGE {
            self.bytes.drain(..self.bytes.len() - MAX_LAST_MESSAGE);
        }
        self.bytes.extend_from_slice(&line[line.len().saturating_sub(MAX_LAST_MESSAGE)..]);
        self.bytes.push(b'\n');
    }

    /// The last whole lines; when even the last one is too long, its end.
    pub(crate) fn text(&self) -> String {
        let kept = self.bytes.trim_ascii_end();
        let mut kept = &kept[kept.len().saturating_sub(MAX_LAST_MESSAGE)..];
        if kept.len() == MAX_LAST_MESSAGE
            && let Some(newline) = kept.iter().position(|&byte| byte == b'\n')
        {
            kept = &kept[newline + 1..];
        }
        String::from_utf8_lossy(kept).into_owned()
    }
}

impl Interpreter for Tail {
    async fn line(&mut self, line: Bytes, sink: &Sink) {
        // Kept as it will be shown: a tail cut through a secret could not be redacted afterwards.
        let line = sink.redactor.bytes(line);
        self.push(&line);
        sink.clean_line(line).await;
    }
}

pub(super) fn conclude(agent: &str, ending: &Ending, tail: &Tail) -> (AgentResult, Option<String>) {
    let last = tail.text();
    let mut result = AgentResult::completed(format!("{agent} {ending}"));
    note_ending(&mut result, agent, ending);
    if !ending.is_success() && !last.is_empty() {
        result.errors.push(last.clone());
    }
    (result, Some(last))
}
