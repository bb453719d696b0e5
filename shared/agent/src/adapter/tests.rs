//! Results of the file and exit protocols, and what is done to every result.

use super::*;
use crate::redact::redactor;

fn outcome<'a>(ending: &'a Ending, lines: &[&str], read: Result<AgentResult, ReadResultError>) -> Outcome<'a> {
    let mut tail = Tail::default();
    lines.iter().for_each(|line| tail.push(line.as_bytes()));
    Outcome { agent: "tool", ending, transcript: Transcript::Plain(tail), complaints: Tail::default(), read }
}

fn by_exit(ending: &Ending, lines: &[&str]) -> (AgentResult, Option<String>) {
    conclude(Protocol::Exit, outcome(ending, lines, Err(ReadResultError::Missing)), &redactor(&[b"sk-canary-0123"]))
}

fn by_file(ending: &Ending, read: Result<AgentResult, ReadResultError>) -> AgentResult {
    conclude(Protocol::File, outcome(ending, &[], read), &redactor(&[b"sk-canary-0123"])).0
}

#[test]
fn exit_zero_is_completed_and_the_tail_is_the_output() {
    let (result, last) = by_exit(&Ending::Exited(0), &["one", "two", ""]);
    assert_eq!(result, AgentResult::completed("tool exited with code 0"));
    assert_eq!(last.as_deref(), Some("one\ntwo"));
    assert_eq!(by_exit(&Ending::Exited(0), &[]).1, None);
}

#[test]
fn any_other_end_is_an_error_that_says_how() {
    for (ending, words) in [
        (Ending::Exited(3), "tool exited with code 3"),
        (Ending::Signaled(9), "tool was killed by signal 9"),
        (Ending::TimedOut, "tool was stopped at its time limit"),
        (Ending::Canceled, "tool was cancelled"),
        (Ending::Missing("x".to_owned()), "tool could not be started: program 'x' is missing or cannot be run"),
    ] {
        let (result, _) = by_exit(&ending, &["why"]);
        assert_eq!(result.status, AgentStatus::Error);
        assert_eq!(result.errors, [words, "why"]);
        let result = by_file(&ending, Ok(AgentResult::completed("fine")));
        assert_eq!((result.status, result.errors), (AgentStatus::Error, vec![words.to_owned()]));
        let result = by_file(&ending, Err(ReadResultError::Missing));
        assert_eq!((result.status, result.errors), (AgentStatus::Error, vec![words.to_owned()]));
    }
}

#[test]
fn the_agents_own_words_are_kept() {
    let result = by_file(&Ending::Exited(0), Ok(AgentResult::error("no", vec!["forced_error".to_owned()])));
    assert_eq!(result.errors, ["forced_error"]);
    assert_eq!(by_file(&Ending::Exited(0), Ok(AgentResult::error("no", vec![]))).errors, ["no"]);
    assert_eq!(by_file(&Ending::Exited(0), Ok(AgentResult::error("", vec![]))).errors, ["tool reported an error"]);
}

#[test]
fn a_missing_or_malformed_result_says_so() {
    let result = by_file(&Ending::Exited(0), Err(ReadResultError::Missing));
    assert_eq!(result.errors, ["the agent wrote no .codex/result.json"]);
    let malformed = AgentResult::from_slice(b"{\"status\":1}").unwrap_err();
    let result = by_file(&Ending::Exited(0), Err(ReadResultError::Invalid(malformed)));
    assert_eq!(result.status, AgentStatus::Error);
    assert!(
        result.errors[0].starts_with("the agent's result cannot be used: result.json is malformed: "),
        "{result:?}"
    );
}

#[test]
fn results_are_bounded_and_free_of_secrets_and_nul() {
    let mut said = AgentResult::error("sk-canary-0123 \0", vec!["é".repeat(5000); 200]);
    said.created_files = vec!["sk-canary-0123.txt".to_owned()];
    said.logs = Some("sk-canary-0123".to_owned());
    let result = by_file(&Ending::Exited(0), Ok(said));
    assert_eq!(result.summary, "[REDACTED] \u{fffd}");
    assert_eq!(result.created_files, ["[REDACTED].txt"]);
    assert_eq!(result.logs.as_deref(), Some("[REDACTED]"));
    assert_eq!(result.errors.len(), MAX_ERRORS);
    assert!(result.errors[0].len() <= MAX_TEXT && result.errors[0].ends_with('…'));
    let line = "x".repeat(3000);
    let last = by_exit(&Ending::Exited(0), &[&line, &line, "end"]).1.unwrap();
    assert!(last.len() <= MAX_LAST_MESSAGE && last.ends_with("x\nend"), "{}", last.len());
    let last = by_exit(&Ending::Exited(0), &[&line.repeat(3)]).1.unwrap();
    assert_eq!(last.len(), MAX_LAST_MESSAGE);
}
