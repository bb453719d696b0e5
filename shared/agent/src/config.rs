//! Settings of the agents: where their programs are, and how Codex reaches its model; and of session servers.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use drydock_runtime::config::{duration, positive_duration};

use super::{endpoint::Secrets, limits::Limits, session_file::port_range};

/// Where `OpenAI`'s own models are served; any endpoint that speaks the Responses API will do.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// Settings shared by all agents of a worker. What differs between agents is in `agents.toml`.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentsConfig {
    /// File with further agents (`agents.toml`; `shared/agent/agents.example.toml` shows every field).
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

    /// Whether `codex` gets its secrets, or a broker adds them outside of its walls.
    #[arg(long, env = "DRYDOCK_CODEX_SECRETS", default_value = "env", value_enum)]
    pub codex_secrets: Secrets,

    /// Model `codex` uses; its own default when unset.
    #[arg(long, env = "DRYDOCK_CODEX_MODEL")]
    pub codex_model: Option<String>,

    /// Limits of what a job may use.
    #[command(flatten)]
    pub limits: Limits,

    /// Session servers.
    #[command(flatten)]
    pub sessions: SessionsConfig,
}

/// Settings shared by the servers that sessions run. What differs between servers is in `agents.toml`.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionsConfig {
    /// Sessions at once, of the slots that jobs have; half of them, and at least one, when unset. 0 takes none
    #[arg(long, env = "DRYDOCK_SESSION_SLOTS", value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub session_slots: Option<u16>,

    /// Name or address by which clients reach this host: the `host` of its sessions
    #[arg(long, env = "DRYDOCK_ADVERTISED_HOST", default_value = "127.0.0.1", value_parser = host)]
    pub advertised_host: String,

    /// Address that session servers listen on. Whoever reaches it reaches them: most ask for no key
    #[arg(long, env = "DRYDOCK_SESSION_BIND", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub session_bind: IpAddr,

    /// Ports for servers that are given one
    #[arg(long, env = "DRYDOCK_SESSION_PORTS", default_value = "20000-29999", value_parser = port_range)]
    pub session_ports: RangeInclusive<u16>,

    /// How long a session's server may take until it accepts connections, where its entry says nothing else
    #[arg(long, env = "DRYDOCK_SESSION_START_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub session_start_timeout: Duration,

    /// Time a session's server gets between SIGTERM and SIGKILL: half of it is that of what the server started
    #[arg(long, env = "DRYDOCK_SESSION_GRACE", default_value = "500ms", value_parser = duration)]
    pub session_grace: Duration,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            session_slots: None,
            advertised_host: "127.0.0.1".to_owned(),
            session_bind: Ipv4Addr::LOCALHOST.into(),
            session_ports: 20000..=29999,
            session_start_timeout: Duration::from_secs(10),
            session_grace: Duration::from_millis(500),
        }
    }
}

/// A host as it stands in a URL, IPv6 addresses without their brackets.
fn host(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(good) {
        Ok(text.to_owned())
    } else {
        Err("must be a host name or an address".to_owned())
    }
}

impl Default for AgentsConfig {
    fn default() -> Self {
        Self {
            file: None,
            grace: Duration::from_secs(5),
            dummy_bin: None,
            codex_bin: None,
            codex_base_url: OPENAI_BASE_URL.to_owned(),
            codex_secrets: Secrets::Env,
            codex_model: None,
            limits: Limits::default(),
            sessions: SessionsConfig::default(),
        }
    }
}
