//! Codex: the JSON events of `codex exec --json` as readable log lines and progress, and a result from its last message.
//!
//! As printed by codex-cli 0.169.0. Events and items this does not know are shown as they came, never an error.

mod event;

use bytes::Bytes;
use drydock_domain::agent::{AgentResult, AgentStatus, Tokens};

use super::{Tail, note_ending};
use crate::{
    ending::Ending,
    output::{Interpreter, Sink},
};
use event::{Event, Item};

/// Bytes of one event at most; longer ones go to the log unread, in pieces.
pub(super) const MAX_EVENT: usize = 4 * 1024 * 1024;

/// What was said so far.
#[derive(Default)]
pub(crate) struct Events {
    last_message: Option<String>,
    last_error: Option<String>,
    turn_failed: bool,
    /// Each turn tells what its thread has used so far.
    usage: Option<Tokens>,
}

impl Interpreter for Events {
    async fn line(&mut self, line: Bytes, sink: &Sink) {
        let line = sink.redactor.bytes(line);
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => self.event(event, line, sink).await,
            Err(_) => sink.clean_line(line).await,
        }
    }
}

impl Events {
    async fn event(&mut self, event: Event, raw: Bytes, sink: &Sink) {
        match event {
            Event::ThreadStarted { thread_id } => {
                sink.line(format!("[codex] thread {thread_id}")).await;
                sink.progress("thread started").await;
            }
            Event::TurnStarted => sink.progress("turn started").await,
            Event::TurnCompleted { usage } => {
                self.usage = Some(usage.max(self.usage.unwrap_or_default()));
                let usage = say_usage(usage);
                sink.line(format!("[codex] turn completed: {usage}")).await;
                sink.progress(&format!("turn completed: {usage}")).await;
            }
            Event::TurnFailed { error } => {
                self.turn_failed = true;
                self.failed("turn failed", error.message, sink).await;
            }
            Event::Error { message } => self.failed("error", message, sink).await,
            Event::ItemStarted { item } => started(item, sink).await,
            Event::ItemCompleted { item } => self.completed(item, raw, sink).await,
            Event::ItemUpdated => {}
            Event::Unknown => sink.clean_line(raw).await,
        }
    }

    async fn completed(&mut self, item: Item, raw: Bytes, sink: &Sink) {
        match item {
            Item::AgentMessage { text } => {
                sink.lines(&text).await;
                sink.progress(&text).await;
                self.last_message = Some(text);
            }
            Item::Reasoning { text } => sink.lines(&text).await,
            Item::CommandExecution { command, aggregated_output, exit_code, status } => {
                sink.lines(&aggregated_output).await;
                let ended = exit_code.map_or(status, |code| format!("exit code {code}"));
                sink.line(format!("[codex] {ended}")).await;
                sink.progress(&format!("{ended}: {command}")).await;
            }
            Item::FileChange { changes } => {
                for change in changes {
                    sink.line(format!("[codex] {} {}", change.kind, change.path)).await;
                }
            }
            // A warning of the tool's own; what ends a turn comes as an event.
            Item::Error { message } => sink.lines(&format!("[codex] warning: {message}")).await,
            Item::Unknown => sink.clean_line(raw).await,
        }
    }

    async fn failed(&mut self, what: &str, message: String, sink: &Sink) {
        sink.lines(&format!("[codex] {what}: {message}")).await;
        sink.progress(&format!("{what}: {message}")).await;
        self.last_error = Some(message);
    }

    pub(super) fn conclude(self, agent: &str, ending: &Ending, complaints: &Tail) -> (AgentResult, Option<String>) {
        let said = self.last_message.as_deref().unwrap_or_default();
        let mut result = AgentResult::completed(said);
        result.usage = self.usage;
        let ended_badly = self.turn_failed || !ending.is_success();
        if ended_badly {
            result.status = AgentStatus::Error;
            result.errors.extend(self.last_error);
        }
        note_ending(&mut result, agent, ending);
        let complaints = complaints.text();
        if ended_badly && !complaints.is_empty() {
            result.errors.push(complaints);
        }
        if result.summary.is_empty() {
            result.summary = result.errors.first().cloned().unwrap_or_else(|| format!("{agent} {ending}"));
        }
        let last = self.last_message.or_else(|| result.errors.first().cloned());
        (result, last)
    }
}

async fn started(item: Item, sink: &Sink) {
    if let Item::CommandExecution { command, .. } = item {
        sink.lines(&format!("$ {command}")).await;
        sink.progress(&format!("running: {command}")).await;
    }
}

fn say_usage(usage: Tokens) -> String {
    let Tokens { input, cached_input, output } = usage;
    format!("{input} input tokens ({cached_input} cached), {output} output tokens")
}

#[cfg(test)]
mod tests;
