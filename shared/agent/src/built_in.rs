//! The agents every worker knows: `dummy`, `command` and `codex`; and the session servers: `preview` and `serena`.

use std::time::Duration;

use drydock_jail::Network;

use super::{
    config::AgentsConfig,
    endpoint::{EndpointEntry, Secrets},
    environment::OPENAI_VARIABLES,
    file::Entry,
    limits::Limits,
    network::{self, Declared},
    session_file::{ServerEntry, Way},
    spec::{ARGV, Protocol},
};

/// The variable that tells where the broker is; stands for that in the command line as well.
const CODEX_ENDPOINT: &str = "OPENAI_BASE_URL";
const DUMMY_PROGRAM: &str = "drydock-agent-dummy";

/// The endpoint becomes a program argument, which every user of the host can list.
pub(super) fn check_base_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let plain = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\"\\".contains(&byte))
    };
    if rest.is_some_and(plain) {
        Ok(())
    } else {
        Err("DRYDOCK_CODEX_BASE_URL: use http:// or https:// with host and path, without user, password or query"
            .to_owned())
    }
}

/// The built-in agents' entries, as `agents.example.toml` shows them.
pub(super) fn entries(config: &AgentsConfig) -> [Entry; 3] {
    let program = |set: &Option<std::path::PathBuf>, default: &str| {
        set.as_ref().map_or_else(|| default.to_owned(), |path| path.to_string_lossy().into_owned())
    };
    let openai = || OPENAI_VARIABLES.map(str::to_owned).to_vec();
    let entry = |name: &str, protocol: Protocol, argv: Vec<String>| Entry {
        name: name.to_owned(),
        argv,
        protocol,
        env: Vec::new(),
        timeout: None,
        network: Declared::default(),
        secrets: Secrets::Env,
        endpoints: Vec::new(),
        limits: Limits::default(),
    };
    let dummy = entry("dummy", Protocol::File, vec![program(&config.dummy_bin, DUMMY_PROGRAM)]);
    let codex = entry("codex", Protocol::Codex, codex_line(program(&config.codex_bin, "codex"), config));
    let codex = match config.codex_secrets {
        Secrets::Env => {
            Entry { env: openai(), network: Declared::Direct(network::endpoint(&config.codex_base_url)), ..codex }
        }
        Secrets::Broker => Entry { secrets: Secrets::Broker, endpoints: vec![codex_endpoint(config)], ..codex },
    };
    [Entry { env: openai(), ..dummy }, entry("command", Protocol::Exit, vec![ARGV.to_owned()]), codex]
}

/// Where the worker's keys are good for.
fn codex_endpoint(config: &AgentsConfig) -> EndpointEntry {
    let [key, organization, project] = OPENAI_VARIABLES.map(str::to_owned);
    EndpointEntry {
        secret: key,
        url: config.codex_base_url.clone(),
        variable: CODEX_ENDPOINT.to_owned(),
        header: None,
        headers: [("OpenAI-Organization".to_owned(), organization), ("OpenAI-Project".to_owned(), project)].into(),
    }
}

/// The built-in session servers' entries, as `agents.example.toml` shows them.
pub(super) fn servers() -> [ServerEntry; 2] {
    let line = |line: &[&str]| line.iter().map(|&word| word.to_owned()).collect();
    let entry = |name: &str, port: Way, argv: Vec<String>| ServerEntry {
        name: name.to_owned(),
        argv,
        port,
        pattern: None,
        ports: None,
        env: Vec::new(),
        start_timeout: None,
        preview: false,
        network: Network::Closed,
        limits: Limits::default(),
    };
    let preview = line(&[
        "drydock-preview",
        "--host",
        "{host}",
        "--port-file",
        "{port_file}",
        "--allowed-host={advertised_host}",
    ]);
    let serena = line(&[
        "serena",
        "start-mcp-server",
        "--project",
        ".",
        "--transport",
        "streamable-http",
        // It would listen on a port of its own, which walls refuse it, and nobody reaches it.
        "--enable-web-dashboard",
        "false",
        "--host",
        "{host}",
        "--port",
        "{port}",
    ]);
    [
        ServerEntry { preview: true, ..entry("preview", Way::File, preview) },
        // It reads the whole project before it listens.
        ServerEntry { start_timeout: Some(Duration::from_secs(60)), ..entry("serena", Way::Given, serena) },
    ]
}

/// `codex exec` as seen working with codex-cli 0.169.0. Its inner sandbox is off because it runs inside ours; commands the
/// model asks for do not get the key; the newline keeps the instruction `-` from meaning standard input.
fn codex_line(program: String, config: &AgentsConfig) -> Vec<String> {
    let base_url = match config.codex_secrets {
        Secrets::Env => config.codex_base_url.clone(),
        Secrets::Broker => format!("{{{CODEX_ENDPOINT}}}"),
    };
    let provider = format!(
        "model_providers.drydock={{name=\"drydock\",base_url=\"{base_url}\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\",\
         env_http_headers={{\"OpenAI-Organization\"=\"OPENAI_ORG_ID\",\"OpenAI-Project\"=\"OPENAI_PROJECT\"}}}}"
    );
    let hidden = OPENAI_VARIABLES.map(|name| format!("\"{name}\"")).join(",");
    let mut line = vec![program];
    line.extend(["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"].map(str::to_owned));
    line.extend(["-c".to_owned(), "model_provider=\"drydock\"".to_owned(), "-c".to_owned(), provider]);
    line.extend(["-c".to_owned(), format!("shell_environment_policy.exclude=[{hidden}]")]);
    if let Some(model) = &config.codex_model {
        line.extend(["-m".to_owned(), model.clone()]);
    }
    line.extend(["--".to_owned(), "{instruction}\n".to_owned()]);
    line
}
