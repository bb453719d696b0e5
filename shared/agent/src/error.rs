//! What can go wrong on our side of an agent's run, and in its configuration.

use std::io;

/// Everything that is wrong with the agents' configuration, reported together.
#[derive(Debug, thiserror::Error)]
#[error("agents cannot be configured: {}", .problems.join("; "))]
pub struct AgentConfigError {
    /// One sentence each, naming the agent and the field or the setting.
    pub problems: Vec<String>,
}

/// Our inability to run an agent; never the agent's own failure, which is a result.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A directory or document the agent needs could not be made.
    #[error("failed to prepare {what} for the agent")]
    Prepare {
        /// What was being made.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The job's own command line is missing.
    #[error("agent '{0}' runs the job's argv, and the job has none")]
    NoArgv(String),
    /// No process could be started, for want of memory, processes or descriptors.
    #[error("failed to start agent '{agent}'")]
    Spawn {
        /// The agent.
        agent: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process table could not be asked.
    #[error("failed to {operation} the agent's processes")]
    Processes {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something the agent started does not die, so its files may still change.
    #[error("{count} processes of the agent are still alive {seconds} s after SIGKILL")]
    Survivors {
        /// How many.
        count: usize,
        /// How long they were given.
        seconds: u64,
    },
    /// The result could not be written.
    #[error("failed to write result.json")]
    WriteResult(#[source] io::Error),
}

/// The whole chain of causes as one line, for places that store text instead of an error.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
