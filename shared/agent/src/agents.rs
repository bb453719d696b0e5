//! The agents this worker can run, and the servers that its sessions can: those built in, and those of `agents.toml`, which may replace a
//! built-in one by name.
//!
//! Programs are looked up once, at start: an agent whose program is missing is kept aside with the reason and not advertised.

use std::{collections::BTreeMap, ffi::OsString, path::Path, sync::Arc, time::Duration};

use drydock_jail::Network;

use super::{
    built_in,
    config::AgentsConfig,
    endpoint,
    environment::read_variable,
    error::{AgentConfigError, chain},
    file::{self, AgentsFile, Entry},
    limits::Limits,
    network::{Declared, Reach},
    program,
    server::ServerSpec,
    session_file::ServerEntry,
    spec::{ARGV, AgentSpec, Protocol},
};

/// The agents of one worker.
#[derive(Debug)]
pub struct Agents {
    usable: BTreeMap<String, AgentSpec>,
    unavailable: Vec<(String, String)>,
    servers: BTreeMap<String, ServerSpec>,
    unavailable_servers: Vec<(String, String)>,
}

/// What is asked for the variables that programs are passed by name.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Agents {
    /// Reads `agents.toml` if the settings name one, adds the built-in agents, and looks for every program.
    ///
    /// # Errors
    /// The file cannot be read or is wrong, or a setting is: everything that is wrong, together.
    pub fn load(config: &AgentsConfig) -> Result<Self, AgentConfigError> {
        Self::load_with(config, &|name| std::env::var_os(name))
    }

    /// Like [`Self::load`], with another source of the variables that agents are passed by name.
    ///
    /// # Errors
    /// Like [`Self::load`].
    pub fn load_with(config: &AgentsConfig, environment: Environment<'_>) -> Result<Self, AgentConfigError> {
        let mut problems = Vec::new();
        let AgentsFile { agents: mut entries, mut servers } =
            config.file.as_deref().map_or_else(|| Ok(AgentsFile::default()), read_file).unwrap_or_else(|wrong| {
                problems.extend(wrong);
                AgentsFile::default()
            });
        problems.extend(built_in::check_base_url(&config.codex_base_url).err());
        for built_in in built_in::entries(config) {
            if !entries.iter().any(|entry| entry.name == built_in.name) {
                entries.push(built_in);
            }
        }
        for built_in in built_in::servers() {
            if !servers.iter().any(|server| server.name == built_in.name) {
                servers.push(built_in);
            }
        }
        let mut agents = Self {
            usable: BTreeMap::new(),
            unavailable: Vec::new(),
            servers: BTreeMap::new(),
            unavailable_servers: Vec::new(),
        };
        for entry in entries {
            let wrong = agents.add(entry, config, environment);
            problems.extend(wrong);
        }
        for server in servers {
            let wrong = agents.add_server(server, config, environment);
            problems.extend(wrong);
        }
        if problems.is_empty() { Ok(agents) } else { Err(AgentConfigError { problems }) }
    }

    /// Names of the agents that can run here, sorted.
    pub fn names(&self) -> Vec<String> {
        self.usable.keys().cloned().collect()
    }

    /// The agent of that name, if it can run here.
    pub fn get(&self, name: &str) -> Option<&AgentSpec> {
        self.usable.get(name)
    }

    /// Agents that cannot run here, with the reason of each.
    pub fn unavailable(&self) -> &[(String, String)] {
        &self.unavailable
    }

    /// Names of the session servers that can run here, sorted.
    pub fn servers(&self) -> Vec<String> {
        self.servers.keys().cloned().collect()
    }

    /// The session server of that name, if it can run here.
    pub fn server(&self, name: &str) -> Option<&ServerSpec> {
        self.servers.get(name)
    }

    /// Session servers that cannot run here, with the reason of each.
    pub fn unavailable_servers(&self) -> &[(String, String)] {
        &self.unavailable_servers
    }

    fn add(&mut self, entry: Entry, config: &AgentsConfig, environment: Environment<'_>) -> Vec<String> {
        let name = entry.name.clone();
        let (found, problems) = look_up(entry, config.grace, &config.limits, environment);
        match found {
            Ok(spec) => drop(self.usable.insert(name.clone(), spec)),
            Err(reason) => self.unavailable.push((name.clone(), reason)),
        }
        problems.into_iter().map(|problem| format!("agent '{name}': {problem}")).collect()
    }

    fn add_server(&mut self, entry: ServerEntry, config: &AgentsConfig, environment: Environment<'_>) -> Vec<String> {
        let (name, settings) = (entry.name.clone(), &config.sessions);
        // What it cannot be was told when it was read.
        let Ok(port) = entry.way(&settings.session_ports) else { return Vec::new() };
        let (start_timeout, preview) = (entry.start_timeout.unwrap_or(settings.session_start_timeout), entry.preview);
        let ServerEntry { argv, env, network, limits, .. } = entry;
        let program = Entry {
            name: name.clone(),
            argv,
            protocol: Protocol::Exit,
            env,
            timeout: None,
            network: Declared::Direct(network),
            secrets: endpoint::Secrets::Env,
            endpoints: Vec::new(),
            limits,
        };
        let (found, problems) = look_up(program, settings.session_grace, &config.limits, environment);
        match found {
            Ok(program) => {
                let advertised_host = settings.advertised_host.clone();
                let server = ServerSpec { program, port, start_timeout, preview, advertised_host };
                drop(self.servers.insert(name.clone(), server));
            }
            Err(reason) => self.unavailable_servers.push((name.clone(), reason)),
        }
        problems.into_iter().map(|problem| format!("session '{name}': {problem}")).collect()
    }
}

/// The program with its variables, or why it cannot run here; and what is wrong with its variables.
fn look_up(
    mut entry: Entry,
    grace: Duration,
    limits: &Limits,
    environment: Environment<'_>,
) -> (Result<AgentSpec, String>, Vec<String>) {
    let path = program::search_path();
    if entry.argv[0] != ARGV {
        match program::find(&entry.argv[0], &path) {
            Ok(found) => entry.argv[0] = found.to_string_lossy().into_owned(),
            Err(reason) => return (Err(reason), Vec::new()),
        }
    }
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for name in &entry.env {
        match read_variable(name, environment) {
            Ok(variable) => variables.push(variable),
            Err(reason) => problems.push(format!("env: {reason}")),
        }
    }
    let brokered = endpoint::is_brokered(&entry).then(|| endpoint::rules(&entry, environment, &mut problems));
    let Entry { name, argv, protocol, timeout, network, limits: own, .. } = entry;
    let network = match (brokered, network) {
        (Some((rules, outside)), _) => {
            variables.extend(outside);
            Reach::Brokered(Arc::new(rules))
        }
        (None, Declared::Direct(network)) => Reach::Direct(network),
        (None, Declared::Domains(_)) => Reach::Direct(Network::Closed),
    };
    let limits = own.or(limits);
    (Ok(AgentSpec { name, argv, protocol, variables, timeout, grace, path, network, limits }), problems)
}

fn read_file(path: &Path) -> Result<AgentsFile, Vec<String>> {
    let text = fs_err::read_to_string(path).map_err(|error| vec![format!("DRYDOCK_AGENTS_FILE: {}", chain(&error))])?;
    file::parse(&text)
        .map_err(|problems| problems.into_iter().map(|problem| format!("{}: {problem}", path.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn config() -> AgentsConfig {
        AgentsConfig {
            dummy_bin: Some("/bin/sh".into()),
            codex_bin: Some("/nowhere/codex".into()),
            ..AgentsConfig::default()
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), text).unwrap();
        file
    }

    fn with(file: &Path, config: AgentsConfig) -> AgentsConfig {
        AgentsConfig { file: Some(file.to_owned()), ..config }
    }

    #[test]
    fn built_in_agents_are_advertised_only_when_their_program_is_there() {
        let agents = Agents::load(&config()).unwrap();
        assert_eq!(agents.names(), ["command", "dummy"]);
        assert!(agents.get("command").unwrap().takes_argv());
        let expected = ("codex".to_owned(), "'/nowhere/codex' is not an executable file".to_owned());
        assert_eq!(agents.unavailable(), [expected]);
        assert!(agents.get("codex").is_none());
    }

    #[test]
    fn the_file_adds_and_replaces() {
        let file = file(
            "[[agent]]\nname='dummy'\nargv=['/bin/true']\nprotocol='exit'\n[[agent]]\nname='mine'\nargv=['sh','-c','x']\nprotocol='exit'\ntimeout='1m'\n",
        );
        let agents = Agents::load(&with(file.path(), config())).unwrap();
        assert_eq!(agents.names(), ["command", "dummy", "mine"]);
        assert_eq!(agents.get("dummy").unwrap().protocol(), Protocol::Exit);
        assert_eq!(agents.get("mine").unwrap().timeout(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn mistakes_in_file_and_settings_come_together() {
        let file = file("[[agent]]\nname='x'\nargv=[]\nprotocol='exit'\n");
        let config = AgentsConfig { codex_base_url: "https://user:a-password@host/v1".to_owned(), ..config() };
        let error = Agents::load(&with(file.path(), config.clone())).unwrap_err().to_string();
        assert!(error.contains("agent 'x': argv") && error.contains("DRYDOCK_CODEX_BASE_URL"), "{error}");
        assert!(!error.contains("a-password"), "{error}");
        let error = Agents::load(&with(Path::new("/nowhere/agents.toml"), config)).unwrap_err().to_string();
        assert!(error.contains("DRYDOCK_AGENTS_FILE") && error.contains("/nowhere/agents.toml"), "{error}");
    }

    #[test]
    fn the_example_file_is_valid() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/agents.example.toml");
        let agents = Agents::load(&with(Path::new(example), config())).unwrap();
        let mut all = agents.names();
        all.extend(agents.unavailable().iter().map(|(name, _)| name.clone()));
        all.sort();
        assert_eq!(all, ["claude", "claude-brokered", "codex", "command", "dummy", "mini-swe-agent", "opencode"]);
        let mut servers = agents.servers();
        servers.extend(agents.unavailable_servers().iter().map(|(name, _)| name.clone()));
        servers.sort();
        assert_eq!(servers, ["preview", "serena", "site"]);
    }

    #[test]
    fn session_servers_are_told_like_agents() {
        let file = file(
            "[session.preview]\nargv=['/bin/true','{port_file}']\nport='file'\n[session.mine]\nargv=['/nowhere/x','{port}']\nport='given'\n",
        );
        let agents = Agents::load(&with(file.path(), config())).unwrap();
        let preview = agents.server("preview").unwrap();
        assert_eq!((preview.name(), preview.is_preview()), ("preview", false), "the file's replaces the built-in one");
        let expected = ("mine".to_owned(), "'/nowhere/x' is not an executable file".to_owned());
        assert_eq!(agents.unavailable_servers().first(), Some(&expected));
        assert!(agents.server("mine").is_none() && agents.get("preview").is_none());
    }
}
