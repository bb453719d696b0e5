//! What is asked for, in the API's words; what is not set is left out, and is then as the server has it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// A project to create.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewProject {
    /// What to build: 5 to 2,000 characters.
    pub instruction: String,
    /// The agent of jobs that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Where its jobs run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Labels of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl NewProject {
    /// A project with this instruction, and the server's defaults.
    pub fn new(instruction: impl Into<String>) -> Self {
        Self { instruction: instruction.into(), ..Self::default() }
    }
}

/// A job to submit.
///
/// ```
/// use drydock_client::NewJob;
///
/// let job = NewJob { priority: Some(7), timeout_s: Some(1200), ..NewJob::command(["cargo", "test"]) };
/// assert_eq!(job.job_type, "command");
/// ```
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewJob {
    /// `initial_project`, `edit` or `command`.
    pub job_type: String,
    /// What to do: 1 to 2,000 characters; a command may have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// For lists, instead of the instruction's first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The command line of a `command`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Instead of the project's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// 0 to 9; higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Ended when it has run so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Ended when it has waited so many seconds for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_s: Option<u64>,
    /// Ended when it has said nothing for so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_timeout_s: Option<u64>,
    /// Repeated so often when its agent fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
    /// The least isolation it accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_isolation: Option<String>,
    /// Labels its worker must carry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requires: BTreeMap<String, String>,
    /// Runs beside the project's other jobs; what it changes is discarded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Keeps what a failed agent left as a version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_on_error: bool,
    /// Labels of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Not before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Not before these jobs have completed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

impl NewJob {
    /// An instruction for the project's agent.
    pub fn edit(instruction: impl Into<String>) -> Self {
        Self { job_type: "edit".to_owned(), instruction: Some(instruction.into()), ..Self::default() }
    }

    /// A command line to run instead of an agent.
    pub fn command<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { job_type: "command".to_owned(), argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(body: &impl Serialize) -> serde_json::Value {
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        assert_eq!(sent(&NewProject::new("a thing")), json!({"instruction": "a thing"}));
        assert_eq!(sent(&NewJob::edit("do")), json!({"job_type": "edit", "instruction": "do"}));
        assert_eq!(sent(&NewJob::command(["make", "test"])), json!({"job_type": "command", "argv": ["make", "test"]}));
    }
}
