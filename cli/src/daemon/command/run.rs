//! Carrying a command out, and what is answered.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use drydock_agent::{AgentError, Ending, Plain, PlainEnding, is_on_path, run_plain};
use drydock_domain::{AttemptId, Outcome, agent::AgentRequest};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Inside, Limits, Policy};

/// Variables beside the fixed ones.
const VARIABLES: [(&str, &str); 1] = [("NODE_ENV", "development")];
/// Bytes of each kind of output in the answer; the log has all.
const ANSWERED: usize = 512 << 10;

/// A command to carry out.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// What was asked for.
    pub(crate) argv: &'a [String],
    /// What may be run.
    pub(crate) policy: &'a Policy,
    /// What it may take.
    pub(crate) limits: Limits,
    /// The job's own time limit.
    pub(crate) timeout: Option<Duration>,
    /// What it is told of.
    pub(crate) request: &'a AgentRequest,
    /// Whose it is.
    pub(crate) attempt: AttemptId,
    /// The folder.
    pub(crate) root: &'a Path,
    /// Private home directory.
    pub(crate) home: &'a Path,
    /// Private directory for temporary files.
    pub(crate) tmp: &'a Path,
    /// Ends it.
    pub(crate) cancel: CancellationToken,
    /// Receives its lines.
    pub(crate) output: mpsc::Sender<Bytes>,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether it ended by itself with 0.
    pub(crate) success: bool,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
    /// Its exit status; none where it did not end by itself.
    pub(crate) exit_code: Option<i32>,
    /// Whether something was left out of either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) truncated: bool,
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// For the job.
    pub(crate) outcome: Outcome,
    /// Why it was refused or ended, where that was not well and by itself.
    pub(crate) detail: Option<String>,
    /// Whether it was not run at all.
    pub(crate) refused: bool,
    /// For whoever asked.
    pub(crate) answer: Answer,
}

/// Carries it out, or refuses.
///
/// # Errors
/// Only what is our own inability.
pub(crate) async fn run(run: Run<'_>) -> Result<Ran, AgentError> {
    let private = fs_err::canonicalize(run.tmp).unwrap_or_else(|_| run.tmp.to_owned());
    let allowed = match run.policy.check(run.argv, &Inside::new(run.root.to_owned(), private)) {
        Ok(allowed) => allowed,
        Err(refused) => {
            let detail = Some(refused.to_string());
            return Ok(Ran { outcome: Outcome::Failed, detail, refused: true, answer: Answer::default() });
        }
    };
    let mut line = allowed.line;
    if line[0] == "python" && !is_on_path("python") {
        "python3".clone_into(&mut line[0]);
    }
    let own = if allowed.is_snippet { run.limits.snippet } else { run.limits.timeout };
    let timeout = run.timeout.map_or(own, |timeout| timeout.min(own));
    let plain = Plain {
        line: &line,
        request: run.request,
        attempt: run.attempt,
        workspace: run.root,
        home: run.home,
        tmp: run.tmp,
        variables: &VARIABLES,
        timeout,
        output_limit: run.limits.output,
        cancel: run.cancel,
        output: run.output,
    };
    let exit = run_plain(plain).await?;
    let (outcome, detail) = judge(&exit.ending, timeout, run.limits.output);
    let exit_code = match exit.ending {
        PlainEnding::Ended(Ending::Exited(code)) => Some(code),
        _ => None,
    };
    let truncated = exit.stdout.len() > ANSWERED || exit.stderr.len() > ANSWERED;
    let (stdout, stderr) = (text(&exit.stdout), text(&exit.stderr));
    Ok(Ran {
        outcome,
        detail,
        refused: false,
        answer: Answer { success: exit_code == Some(0), stdout, stderr, exit_code, truncated },
    })
}

fn judge(ending: &PlainEnding, timeout: Duration, most: usize) -> (Outcome, Option<String>) {
    let limit = |text: String| Some(text);
    match ending {
        PlainEnding::OutputLimit => (
            Outcome::Failed,
            limit(format!("the command was stopped: it wrote more than {most} bytes (--output-limit)")),
        ),
        PlainEnding::Ended(Ending::Exited(0)) => (Outcome::Succeeded, None),
        PlainEnding::Ended(Ending::TimedOut) => {
            (Outcome::Timeout, limit(format!("the command was stopped at its time limit of {timeout:?}")))
        }
        PlainEnding::Ended(Ending::Canceled) => (Outcome::Canceled, limit("the command was cancelled".to_owned())),
        PlainEnding::Ended(ending) => (Outcome::Failed, limit(format!("the command {ending}"))),
    }
}

/// The beginning, as text that every store takes.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(ANSWERED)]);
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
