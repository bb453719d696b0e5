//! One agent's definition, checked and ready to run, and how its command line is made for a job.

use std::{
    ffi::{OsStr, OsString},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Deserialize;

use crate::{limits::Limits, network::Reach};

/// Stands for the user's instruction in an argument.
pub(super) const INSTRUCTION: &str = "{instruction}";
/// Stands for the absolute path of the workspace.
pub(super) const WORKSPACE: &str = "{workspace}";
/// As an argument of its own: the job's whole `argv`.
pub(super) const ARGV: &str = "{argv}";

/// How an agent tells what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// It writes `.codex/result.json` itself.
    File,
    /// Its exit status says it; the result is made from that and its last words.
    Exit,
    /// It prints the JSON events of `codex exec --json`.
    Codex,
}

/// An environment variable passed to the agent by name.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The worker's value when it started; kept secret because it may be a key.
    pub(super) value: Option<SecretSlice<u8>>,
    /// Whether the agent gets a placeholder, for which its broker puts the value.
    pub(super) stays_outside: bool,
}

impl Variable {
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|value| value.expose_secret())
    }
}

/// One agent a worker can run.
#[derive(Debug)]
pub struct AgentSpec {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) protocol: Protocol,
    pub(super) variables: Vec<Variable>,
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
    /// The worker's search path without relative entries, which would search the workspace.
    pub(super) path: OsString,
    /// Whom it may talk to, where it is walled in.
    pub(super) network: Reach,
    /// What it may use of its node.
    pub(super) limits: Limits,
}

impl AgentSpec {
    /// The name jobs use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it tells what it did.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Its time limit for jobs that set none.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether it runs the job's own command line.
    pub fn takes_argv(&self) -> bool {
        self.argv.iter().any(|argument| argument == ARGV)
    }

    /// The command line for one job, with what stands for what in it; `None` when it needs the job's `argv` and there is none.
    pub(super) fn command_line(&self, job: Option<&[String]>, values: &[(&str, &OsStr)]) -> Option<Vec<OsString>> {
        let mut line = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            if argument == ARGV {
                line.extend(job.filter(|argv| !argv.is_empty())?.iter().map(OsString::from));
            } else {
                line.push(expand(argument, values));
            }
        }
        Some(line)
    }
}

/// Replaces the placeholders in one pass, so that a value that holds a placeholder is passed as it is.
pub(super) fn expand(argument: &str, values: &[(&str, &OsStr)]) -> OsString {
    let mut expanded = OsString::new();
    let mut rest = argument;
    while let Some(at) = rest.find('{') {
        expanded.push(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find_map(|(name, value)| Some((value, rest.strip_prefix(name)?)));
        if let Some((value, after)) = found {
            expanded.push(value);
            rest = after;
        } else {
            expanded.push("{");
            rest = &rest[1..];
        }
    }
    expanded.push(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(argv: &[&str]) -> AgentSpec {
        AgentSpec {
            name: "x".to_owned(),
            argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
            protocol: Protocol::Exit,
            variables: Vec::new(),
            timeout: None,
            grace: Duration::ZERO,
            path: OsString::new(),
            network: Reach::Direct(drydock_jail::Network::Closed),
            limits: Limits::default(),
        }
    }

    #[test]
    fn placeholders_are_replaced_once_and_everywhere() {
        let spec = spec(&["p", "--dir={workspace}", "a{b}{", "{instruction}\n"]);
        let instruction = OsStr::new("say {workspace} {instruction}");
        let line = spec.command_line(None, &[(INSTRUCTION, instruction), (WORKSPACE, OsStr::new("/w"))]).unwrap();
        assert_eq!(line, ["p", "--dir=/w", "a{b}{", "say {workspace} {instruction}\n"]);
    }

    #[test]
    fn the_jobs_argv_is_passed_untouched() {
        let spec = spec(&["nice", ARGV]);
        let job = ["echo".to_owned(), "{instruction}".to_owned(), String::new()];
        let line = spec.command_line(Some(&job), &[]).unwrap();
        assert_eq!(line, ["nice", "echo", "{instruction}", ""]);
        assert_eq!(spec.command_line(None, &[]), None);
        assert_eq!(spec.command_line(Some(&[]), &[]), None);
    }
}
