//! Agents that write `.codex/result.json` themselves.

use drydock_domain::agent::{AgentResult, AgentStatus};

use super::note_ending;
use crate::{ending::Ending, error::chain, exchange::ReadResultError};

/// The agent's own result; a bad one, or a bad end of the agent, is an error beside its own words.
pub(super) fn conclude(
    agent: &str,
    ending: &Ending,
    read: Result<AgentResult, ReadResultError>,
) -> (AgentResult, Option<String>) {
    let mut result = match read {
        Ok(result) => result,
        // An agent that was stopped is not blamed for what it had no time to write.
        Err(ReadResultError::Missing) if !ending.is_success() => AgentResult::error("", Vec::new()),
        Err(error) => {
            let reason = chain(&error);
            AgentResult::error(reason.clone(), vec![reason])
        }
    };
    note_ending(&mut result, agent, ending);
    if result.status == AgentStatus::Error && result.errors.is_empty() {
        result.errors.push(if result.summary.is_empty() {
            format!("{agent} reported an error")
        } else {
            result.summary.clone()
        });
    }
    let last = (!result.summary.is_empty()).then(|| result.summary.clone());
    (result, last)
}
