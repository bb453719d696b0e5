//! Running one agent in one directory: [`Agents`] knows which programs there are, [`run`] runs one and tells how it ended.
//!
//! Owns the agent's environment, its process tree, its output and the `.codex` documents. Refuses to know about jobs, leases,
//! storage or the database. An agent that fails is a result ([`AgentExit`]); [`AgentError`] is only ever our own inability.
//!
//! Every child of the worker that has its own process group is spawned here (see [`process`]), because the worker adopts and
//! reaps what agents leave behind.

mod adapter;
mod agents;
mod built_in;
mod config;
mod ending;
mod endpoint;
mod environment;
mod error;
mod exchange;
mod execute;
mod file;
mod heard;
mod hold;
mod jail;
mod limits;
mod network;
mod output;
mod plain;
mod process;
mod program;
mod redact;
mod run;
mod serve;
mod server;
mod session_file;
mod spec;
mod way_out;

pub use agents::Agents;
pub use config::{AgentsConfig, SessionsConfig};
pub use ending::Ending;
pub use endpoint::Secrets;
pub use error::{AgentConfigError, AgentError};
pub use hold::Hold;
pub use jail::Jail;
pub use limits::{Excess, Limits, Resource};
pub use output::{AgentOutput, Lines};
pub use plain::{Plain, PlainEnding, PlainExit, is_on_path, run_plain};
pub use process::end_strays;
pub use program::own_directories;
pub use redact::Redactor;
pub use run::{AgentExit, Launch, run};
pub use serve::{Over, Serve, Served, serve};
pub use server::ServerSpec;
pub use spec::{AgentSpec, Protocol};
