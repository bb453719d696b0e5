//! Events as the real program prints them, and what is made of them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Hold, heard::Heard, output::AgentOutput, redact::redactor};

async fn play(lines: &[&str]) -> (Events, Vec<String>, Vec<String>) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let redactor = Arc::new(redactor(&[b"sk-canary-0123"]));
    let sink = Sink {
        sender,
        redactor,
        abandoned: CancellationToken::new(),
        heard: Heard::new(&Hold::default()),
        said: Arc::default(),
    };
    let mut events = Events::default();
    for line in lines {
        events.line(Bytes::copy_from_slice(line.as_bytes()), &sink).await;
    }
    drop(sink);
    let (mut log, mut progress) = (Vec::new(), Vec::new());
    while let Some(output) = receiver.recv().await {
        match output {
            AgentOutput::Line(line) => log.push(String::from_utf8(line.to_vec()).unwrap()),
            AgentOutput::Progress(text) => progress.push(text),
        }
    }
    (events, log, progress)
}

/// Printed by codex-cli 0.169.0, shortened.
const GOOD: [&str; 7] = [
    r#"{"type":"thread.started","thread_id":"01a1fc72"}"#,
    r#"{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata not found."}}"#,
    r#"{"type":"turn.started"}"#,
    r#"{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'echo hi'","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
    r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'echo hi'","aggregated_output":"hi\nsk-canary-0123\n","exit_code":3,"status":"failed"}}"#,
    r#"{"type":"item.completed","item":{"id":"item_3","type":"agent_message","text":"done\nand well"}}"#,
    r#"{"type":"turn.completed","usage":{"input_tokens":30,"cached_input_tokens":1,"cache_write_input_tokens":0,"output_tokens":15,"reasoning_output_tokens":0}}"#,
];

#[tokio::test]
async fn a_good_turn_becomes_lines_progress_and_a_result() {
    let (events, log, progress) = play(&GOOD).await;
    let expected = [
        "[codex] thread 01a1fc72",
        "[codex] warning: Model metadata not found.",
        "$ /bin/bash -lc 'echo hi'",
        "hi",
        "[REDACTED]",
        "[codex] exit code 3",
        "done",
        "and well",
        "[codex] turn completed: 30 input tokens (1 cached), 15 output tokens",
    ];
    assert_eq!(log, expected);
    assert_eq!(progress[0], "thread started");
    assert_eq!(progress[2], "running: /bin/bash -lc 'echo hi'");
    assert_eq!(progress[3], "exit code 3: /bin/bash -lc 'echo hi'");
    assert_eq!(progress[4], "done");
    let (result, last) = events.conclude("codex", &Ending::Exited(0), &Tail::default());
    let usage = Some(Tokens { input: 30, cached_input: 1, output: 15 });
    assert_eq!(result, AgentResult { usage, ..AgentResult::completed("done\nand well") });
    assert_eq!(last.as_deref(), Some("done\nand well"));
}

/// `usage` tells what the thread has used since its start: the greatest, not the sum.
#[tokio::test]
async fn tokens_of_a_thread_are_told_as_far_as_it_came_and_count_once() {
    let turn =
        |input: u64| format!(r#"{{"type":"turn.completed","usage":{{"input_tokens":{input},"output_tokens":4}}}}"#);
    let failed = r#"{"type":"turn.failed","error":{"message":"no"}}"#;
    let (events, ..) = play(&[&turn(10), &turn(25), failed]).await;
    let (result, _) = events.conclude("codex", &Ending::TimedOut, &Tail::default());
    assert_eq!(result.usage, Some(Tokens { input: 25, cached_input: 0, output: 4 }));
    let (events, ..) = play(&[failed]).await;
    assert_eq!(events.conclude("codex", &Ending::Exited(1), &Tail::default()).0.usage, None);
}

#[tokio::test]
async fn a_failed_turn_is_an_error_in_its_own_words() {
    let lines = [
        r#"{"type":"error","message":"Missing environment variable: `OPENAI_API_KEY`."}"#,
        r#"{"type":"turn.failed","error":{"message":"Missing environment variable: `OPENAI_API_KEY`."}}"#,
    ];
    let (events, ..) = play(&lines).await;
    let mut complaints = Tail::default();
    complaints.push(b"on stderr");
    let (result, last) = events.conclude("codex", &Ending::Exited(1), &complaints);
    assert_eq!(result.status, AgentStatus::Error);
    let words = "Missing environment variable: `OPENAI_API_KEY`.";
    assert_eq!(result.errors, [words, "codex exited with code 1", "on stderr"]);
    assert_eq!((result.summary.as_str(), last.as_deref()), ("codex exited with code 1", Some(words)));
    let (events, ..) = play(&lines).await;
    assert_eq!(events.conclude("codex", &Ending::Exited(0), &Tail::default()).0.status, AgentStatus::Error);
}

#[tokio::test]
async fn an_error_that_was_overcome_is_no_error() {
    let (events, ..) = play(&[r#"{"type":"error","message":"Reconnecting... 1/5"}"#, GOOD[5], GOOD[6]]).await;
    assert_eq!(events.conclude("codex", &Ending::Exited(0), &Tail::default()).0.status, AgentStatus::Completed);
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_shown_as_it_is() {
    let lines = [
        r#"{"type":"thread.compacted","x":1}"#,
        r#"{"type":"item.completed","item":{"type":"web_search","query":"q"}}"#,
        r#"{"type":"item.completed"}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":"many"}}"#,
        "{not json",
        "",
        "[1]",
    ];
    let (_, log, progress) = play(&lines).await;
    assert_eq!(log, lines);
    assert_eq!(progress, Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_does_not_come_back_however_it_is_escaped() {
    for spelled in ["sk-canary-0123", r"\u0073k-canary-0123"] {
        let event = |item: &str| format!(r#"{{"type":"item.completed","item":{item}}}"#);
        let message = event(&format!(r#"{{"type":"agent_message","text":"key {spelled}"}}"#));
        let command = event(&format!(
            r#"{{"type":"command_execution","command":"c {spelled}","aggregated_output":"{spelled}","exit_code":0}}"#
        ));
        let (_, log, progress) = play(&[&message, &command]).await;
        assert_eq!(log, ["key [REDACTED]", "[REDACTED]", "[codex] exit code 0"]);
        assert_eq!(progress, ["key [REDACTED]", "exit code 0: c [REDACTED]"]);
    }
}
