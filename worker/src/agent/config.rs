//! Settings of the agents: where their programs are, and how Codex reaches its model.

use std::{path::PathBuf, time::Duration};

use drydock_runtime::config::duration;

/// Where `OpenAI`'s own models are served; any endpoint that speaks the Responses API will do.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// Settings shared by all agents of a worker. What differs between agents is in `agents.toml`.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentsConfig {
    /// File with further agents (`agents.toml`; `worker/agents.example.toml` shows every field).
    #[arg(long = "agents-file", env = "DRYDOCK_AGENTS_FILE")]
    pub file: Option<PathBuf>,

    /// Time an agent gets between SIGTERM and SIGKILL when it is stopped.
    #[arg(long = "agent-grace", env = "DRYDOCK_AGENT_GRACE", default_value = "5s", value_parser = duration)]
    pub grace: Duration,

    /// Program of the `dummy` agent; searched beside the worker's own program when unset.
    #[arg(long, env = "DRYDOCK_AGENT_DUMMY_BIN")]
    pub dummy_bin: Option<PathBuf>,

    /// Program of the `codex` agent; searched on PATH when unset.
    #[arg(long, env = "DRYDOCK_CODEX_BIN")]
    pub codex_bin: Option<PathBuf>,

    /// Endpoint of the model `codex` uses, speaking the Responses API. Must hold no user, password or query: it is a program argument.
    #[arg(long, env = "DRYDOCK_CODEX_BASE_URL", default_value = OPENAI_BASE_URL)]
    pub codex_base_url: String,

    /// Model `codex` uses; its own default when unset.
    #[arg(long, env = "DRYDOCK_CODEX_MODEL")]
    pub codex_model: Option<String>,
}

impl Default for AgentsConfig {
    fn default() -> Self {
        Self {
            file: None,
            grace: Duration::from_secs(5),
            dummy_bin: None,
            codex_bin: None,
            codex_base_url: OPENAI_BASE_URL.to_owned(),
            codex_model: None,
        }
    }
}
