//! `drydock daemon`

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytesize::ByteSize;
use clap::Args;
use drydock_agent::AgentsConfig;
use drydock_runtime::config::{duration, optional_secret, positive_duration};
use secrecy::SecretString;

use super::{Context, connection::Resolved};
use crate::{
    CliError, Exit,
    daemon::{
        DaemonError, Settings,
        command::{DEFAULT, Limits},
        run as serve,
    },
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock daemon --project PROJECT --dir .
  drydock daemon --project PROJECT --dir my-app --allow git --allow make --command-timeout 2m
  DRYDOCK_DAEMON_TOKEN_FILE=token drydock --output ndjson daemon --project PROJECT --dir my-app

Keeps the folder like the project's newest version, both ways, and runs the project's jobs in it while it is connected, at most three at
once. The folder is changed by agents: use one that you could do without, or that is under version control. Where both sides changed a file, the
folder's counts; the other stays in the history. What does not go up: hidden names, node_modules, dist, build, and what
.drydockignore says; of .git and .codex nothing comes down either. Offline it goes on, and tells everything later.

Commands of jobs run without a shell: programs of the list, and the folder's own scripts (.js, .ts, .py, .sh), with arguments that
stay inside the folder. This is no wall: what an allowed program is told to run has your rights.

The token is made with your login key and kept in the state directory, $XDG_STATE_HOME/drydock/daemons/… (or ~/.local/state).
Ctrl-C stops it within ten seconds; a job that runs then runs again elsewhere.")]
pub(super) struct DaemonArgs {
    /// The project
    #[arg(short, long, value_name = "PROJECT")]
    project: String,
    /// The folder
    #[arg(short, long, value_name = "DIR")]
    dir: PathBuf,
    /// A file that holds the daemon's token; or `DRYDOCK_DAEMON_TOKEN`, or `DRYDOCK_DAEMON_TOKEN_FILE`; made where there is none
    // Not `--token-file`: that is the login key's, on every command.
    #[arg(long, value_name = "FILE")]
    daemon_token_file: Option<PathBuf>,
    /// Where it keeps what it must not forget; never in the folder
    #[arg(long, env = "DRYDOCK_DAEMON_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Send everything in the clear to a server that is neither https nor on this machine
    #[arg(long, env = "DRYDOCK_DAEMON_INSECURE")]
    insecure: bool,
    #[command(flatten)]
    commands: CommandArgs,
    #[command(flatten)]
    agents: AgentArgs,
}

/// What commands of jobs may do.
#[derive(Debug, Args)]
struct CommandArgs {
    /// A program that commands may run; repeat for several. Replaces the list: ls, pwd, echo, cat, grep, find, git, npm, pnpm, yarn, node, python
    #[arg(long, env = "DRYDOCK_DAEMON_ALLOW", value_delimiter = ',', value_name = "NAME", default_values = DEFAULT, hide_default_value = true)]
    allow: Vec<String>,
    /// Longest time of a command
    #[arg(long, env = "DRYDOCK_DAEMON_COMMAND_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = positive_duration)]
    command_timeout: Duration,
    /// Longest time of a snippet: node -e, -p, --input-type
    #[arg(long, env = "DRYDOCK_DAEMON_SNIPPET_TIMEOUT", default_value = "5s", value_name = "TIME", value_parser = positive_duration)]
    snippet_timeout: Duration,
    /// Most output of a command, both kinds together
    #[arg(long, env = "DRYDOCK_DAEMON_OUTPUT_LIMIT", default_value = "10MiB", value_name = "SIZE")]
    output_limit: ByteSize,
}

/// The agents, as workers have them.
#[derive(Debug, Args)]
struct AgentArgs {
    /// File with further agents (agents.toml)
    #[arg(long, env = "DRYDOCK_AGENTS_FILE", value_name = "FILE")]
    agents_file: Option<PathBuf>,
    /// Time an agent gets between SIGTERM and SIGKILL when it is stopped
    #[arg(long, env = "DRYDOCK_AGENT_GRACE", default_value = "3s", value_name = "TIME", value_parser = duration)]
    agent_grace: Duration,
    /// Program of the dummy agent
    #[arg(long, env = "DRYDOCK_AGENT_DUMMY_BIN", hide = true)]
    dummy_bin: Option<PathBuf>,
    /// Program of the codex agent; searched on PATH when unset
    #[arg(long, env = "DRYDOCK_CODEX_BIN", value_name = "FILE")]
    codex_bin: Option<PathBuf>,
    /// Endpoint of codex's model
    #[arg(long, env = "DRYDOCK_CODEX_BASE_URL", value_name = "URL")]
    codex_base_url: Option<String>,
    /// Model codex uses
    #[arg(long, env = "DRYDOCK_CODEX_MODEL", value_name = "NAME")]
    codex_model: Option<String>,
}

impl AgentArgs {
    fn config(self) -> AgentsConfig {
        let default = AgentsConfig::default();
        AgentsConfig {
            file: self.agents_file,
            grace: self.agent_grace,
            dummy_bin: self.dummy_bin,
            codex_bin: self.codex_bin,
            codex_base_url: self.codex_base_url.unwrap_or(default.codex_base_url),
            codex_secrets: default.codex_secrets,
            codex_model: self.codex_model,
            limits: default.limits,
            sessions: default.sessions,
        }
    }
}

pub(super) async fn run(context: &Context, args: DaemonArgs) -> Result<Exit, CliError> {
    let project = args.project.parse().map_err(|_| DaemonError::Project(args.project.clone()))?;
    let token = match &args.daemon_token_file {
        Some(path) => {
            let text = fs_err::read_to_string(path).map_err(DaemonError::TokenFile)?;
            Some(SecretString::from(text.trim()))
        }
        None => optional_secret("DRYDOCK_DAEMON_TOKEN")?,
    };
    let Resolved { server, .. } = context.connection.resolve()?;
    let settings = Settings {
        login: context.client()?,
        server,
        project,
        dir: args.dir,
        state_dir: args.state_dir,
        token,
        insecure: args.insecure,
        agents: args.agents.config(),
        allow: args.commands.allow,
        limits: Limits {
            timeout: args.commands.command_timeout,
            snippet: args.commands.snippet_timeout,
            output: usize::try_from(args.commands.output_limit.as_u64()).unwrap_or(usize::MAX),
        },
    };
    serve(settings, Arc::clone(&context.output)).await?;
    Ok(Exit::Ok)
}
