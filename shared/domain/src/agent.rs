//! What passes between the fleet and an agent: `.codex/request.json` and `.codex/result.json`.
//!
//! Owns the two documents and what a valid result is. Refuses results that are too large, not JSON, or of another shape, and
//! says which; it never reads a file itself. Unknown fields are ignored: an agent may say more than the fleet understands.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{JobId, JobType, ProjectId};

/// The folder of both documents, in the root of the workspace.
pub const EXCHANGE_DIR: &str = ".codex";
/// The request's name inside [`EXCHANGE_DIR`].
pub const REQUEST_FILE: &str = "request.json";
/// The result's name inside [`EXCHANGE_DIR`].
pub const RESULT_FILE: &str = "result.json";
/// Bytes of a result that are read at most (1 MiB).
pub const MAX_RESULT_BYTES: usize = 1024 * 1024;

const MAX_PREVIEW_URL: usize = 2048;
/// Most tokens of one kind that one run is believed to have used: sums of millions of runs fit 64 bits.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// What a run used of its model, as the agent says; input that came from a cache is part of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Tokens the model read.
    #[serde(rename = "input_tokens")]
    pub input: u64,
    /// Of these, those that a cache had.
    #[serde(rename = "cached_input_tokens")]
    pub cached_input: u64,
    /// Tokens the model wrote.
    #[serde(rename = "output_tokens")]
    pub output: u64,
}

impl Tokens {
    /// Both, kind by kind, whichever is greater: for agents that report what they used so far.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let most = |a: u64, b: u64| a.max(b).min(MAX_TOKENS);
        Self {
            input: most(self.input, other.input),
            cached_input: most(self.cached_input, other.cached_input),
            output: most(self.output, other.output),
        }
    }
}

/// What the agent is asked to do, written before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRequest {
    /// The project whose workspace this is.
    pub project_id: ProjectId,
    /// The job to carry out.
    pub job_id: JobId,
    /// Number of this try at the job, from 1.
    pub attempt: u32,
    /// What kind of job it is.
    pub job_type: JobType,
    /// The user's words; empty only for `command` jobs.
    pub instruction: String,
    /// Absolute path of the workspace, which is also the working directory.
    pub workspace_path: String,
    /// The job's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Whether the agent says it did what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Done.
    Completed,
    /// Not done; `errors` says why.
    Error,
}

/// What the agent says it did. Its file lists are claims: the fleet computes its own and that one wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentResult {
    /// Done or not.
    pub status: AgentStatus,
    /// One or a few sentences for a person.
    #[serde(default, deserialize_with = "null_as_default")]
    pub summary: String,
    /// Paths of new files, relative to the workspace.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created_files: Vec<String>,
    /// Paths of changed files.
    #[serde(default, deserialize_with = "null_as_default")]
    pub modified_files: Vec<String>,
    /// Paths of removed files.
    #[serde(default, deserialize_with = "null_as_default")]
    pub deleted_files: Vec<String>,
    /// What went wrong, in the agent's own words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub errors: Vec<String>,
    /// Log text worth keeping beside the result. A list of lines is accepted too and joined.
    #[serde(default, deserialize_with = "text_or_lines", skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// Where a preview of the work is served, `http` or `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<String>,
    /// What it used of its model. Numbers that make no sense are none: an agent may mean something else by the name.
    #[serde(default, deserialize_with = "tokens_or_none", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Tokens>,
}

/// Why a result was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AgentResultError {
    /// Larger than [`MAX_RESULT_BYTES`].
    #[error("result.json is larger than {MAX_RESULT_BYTES} bytes")]
    TooLarge,
    /// Nothing in it.
    #[error("result.json is empty")]
    Empty,
    /// Not JSON, or JSON of another shape.
    #[error("result.json is malformed")]
    Malformed(#[source] serde_json::Error),
    /// A link that a browser must not be sent to.
    #[error("preview_url in result.json is not an http or https address of at most {MAX_PREVIEW_URL} bytes")]
    PreviewUrl,
}

impl AgentResult {
    /// A result that says the work is done.
    pub fn completed(summary: impl Into<String>) -> Self {
        Self { status: AgentStatus::Completed, summary: summary.into(), ..Self::empty() }
    }

    /// A result that says the work is not done.
    pub fn error(summary: impl Into<String>, errors: Vec<String>) -> Self {
        Self { status: AgentStatus::Error, summary: summary.into(), errors, ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            status: AgentStatus::Completed,
            summary: String::new(),
            created_files: Vec::new(),
            modified_files: Vec::new(),
            deleted_files: Vec::new(),
            errors: Vec::new(),
            logs: None,
            preview_url: None,
            usage: None,
        }
    }

    /// Reads the bytes of a `result.json`. Pass at most one byte more than [`MAX_RESULT_BYTES`]: that is enough to refuse.
    ///
    /// # Errors
    /// When the bytes are too many, none, not JSON, or not a result.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AgentResultError> {
        if bytes.len() > MAX_RESULT_BYTES {
            return Err(AgentResultError::TooLarge);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(AgentResultError::Empty);
        }
        let result: Self = serde_json::from_slice(bytes).map_err(AgentResultError::Malformed)?;
        match &result.preview_url {
            Some(url) if !is_web_address(url) => Err(AgentResultError::PreviewUrl),
            _ => Ok(result),
        }
    }
}

/// Whether a browser may be sent to `url`.
pub fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && url.len() <= MAX_PREVIEW_URL
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn tokens_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tokens>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let is_said = ["input_tokens", "cached_input_tokens", "output_tokens"].iter().any(|name| value.get(name).is_some());
    let tokens = is_said.then(|| serde_json::from_value::<Tokens>(value).ok()).flatten();
    Ok(tokens.map(|tokens| tokens.max(Tokens::default())))
}

fn text_or_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "logs must be text or a list of lines")]
    enum Logs {
        Text(String),
        Lines(Vec<String>),
    }
    Ok(Option::<Logs>::deserialize(deserializer)?.map(|logs| match logs {
        Logs::Text(text) => text,
        Logs::Lines(lines) => lines.join("\n"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> AgentResultError {
        AgentResult::from_slice(bytes).expect_err("must be refused")
    }

    #[test]
    fn the_smallest_result_is_a_status() {
        let result = AgentResult::from_slice(br#"{"status":"completed"}"#).unwrap();
        assert_eq!(result, AgentResult::completed(""));
    }

    #[test]
    fn nulls_unknown_fields_and_log_lines_are_accepted() {
        let text = br#"{"status":"error","errors":null,"logs":["a","b"],"preview_url":null,"model":"x"}"#;
        let result = AgentResult::from_slice(text).unwrap();
        assert_eq!(result.status, AgentStatus::Error);
        assert_eq!(result.errors, Vec::<String>::new());
        assert_eq!(result.logs.as_deref(), Some("a\nb"));
    }

    #[test]
    fn a_result_survives_writing_and_reading() {
        let mut result = AgentResult::error("half done", vec!["forced_error".to_owned()]);
        result.created_files = vec!["a b/ü.txt".to_owned()];
        result.preview_url = Some("https://example.org/p?x=1".to_owned());
        assert_eq!(AgentResult::from_slice(&serde_json::to_vec(&result).unwrap()).unwrap(), result);
    }

    #[test]
    fn tokens_are_taken_where_they_make_sense() {
        let said = |usage: &str| {
            let text = format!(r#"{{"status":"completed","usage":{usage}}}"#);
            AgentResult::from_slice(text.as_bytes()).unwrap().usage
        };
        let some = Tokens { input: 30, cached_input: 1, output: 15 };
        assert_eq!(
            said(r#"{"input_tokens":30,"cached_input_tokens":1,"output_tokens":15,"reasoning_output_tokens":9}"#),
            Some(some)
        );
        assert_eq!(said(r#"{"output_tokens":15}"#), Some(Tokens { output: 15, ..Tokens::default() }));
        for none in [r#"{"input_tokens":-1}"#, r#"{"input_tokens":"many"}"#, r#"{"cpu_s":3}"#, "7", "null", "[]", "{}"]
        {
            assert_eq!(said(none), None, "{none}");
        }
        let absurd = said(r#"{"input_tokens":18446744073709551615}"#).unwrap();
        assert_eq!(absurd.input, MAX_TOKENS);
        let mut result = AgentResult::completed("");
        result.usage = Some(some);
        assert_eq!(AgentResult::from_slice(&serde_json::to_vec(&result).unwrap()).unwrap(), result);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(matches!(refused(b" \n"), AgentResultError::Empty));
        assert!(matches!(refused(&vec![b' '; MAX_RESULT_BYTES + 1]), AgentResultError::TooLarge));
        let cases: [(&[u8], &str); 7] = [
            (b"{\"status\": ", "EOF"),
            (b"[]", "invalid length"),
            (b"{}", "missing field `status`"),
            (br#"{"status":"done"}"#, "unknown variant `done`"),
            (br#"{"status":"completed","errors":"x"}"#, "invalid type: string"),
            (b"{\"status\":\"completed\",\"summary\":\"\xff\"}", "invalid unicode"),
            (br#"{"status":"completed","logs":7}"#, "logs must be text or a list of lines"),
        ];
        for (bytes, words) in cases {
            let AgentResultError::Malformed(source) = refused(bytes) else { panic!("{words}: another kind of error") };
            assert!(source.to_string().contains(words), "{source} should say {words}");
        }
    }

    #[test]
    fn a_deep_document_is_an_error_and_not_a_crash() {
        let deep = format!(r#"{{"status":"completed","x":{}}}"#, "[".repeat(100_000));
        assert!(matches!(refused(deep.as_bytes()), AgentResultError::Malformed(_)));
    }

    #[test]
    fn only_web_addresses_are_previews() {
        for bad in ["javascript:alert(1)", "http://", "https://a b", "ftp://x", "", "https://x\u{0}"] {
            let text = serde_json::to_vec(&serde_json::json!({"status": "completed", "preview_url": bad})).unwrap();
            assert!(matches!(refused(&text), AgentResultError::PreviewUrl), "{bad:?}");
        }
    }
}
