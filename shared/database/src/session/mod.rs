//! The `session` table: what a session has beside its job, whose id is its own. Its job is claimed, renewed and finished as any other.

mod change;
mod read;

pub use change::{GaveUp, NewSession, Released, Started, end_unwanted, give_up, ready, release, start, told, want};
pub use read::{Room, SessionFilter, SessionPlan, SessionRow, SessionStatus, find, list, plan, room};

/// What a worker that has a server calls it among its agents. No agent of a job can be named so.
pub fn agent_of(server: &str) -> String {
    format!("{PREFIX}{server}")
}

/// The names of session servers among a worker's agents, and the others.
pub fn split(agents: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (servers, agents): (Vec<_>, Vec<_>) = agents.into_iter().partition(|name| name.starts_with(PREFIX));
    (servers.into_iter().map(|name| name[PREFIX.len()..].to_owned()).collect(), agents)
}

const PREFIX: &str = "session/";
