//! Integration tests of the agent code: real programs in real directories.
#![expect(clippy::unwrap_used, reason = "a test's helpers may give up")]

mod agent;
mod agent_codex;
mod agent_freeze;
mod agent_harness;
mod agent_output;
mod agent_result;
mod brokered;
mod jailed;
mod limits;
mod session_server;
