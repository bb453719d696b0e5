//! The agents this worker can run: the three built in, and those of `agents.toml`, which may replace a built-in one by name.
//!
//! Programs are looked up once, at start: an agent whose program is missing is kept aside with the reason and not advertised.

use std::{collections::BTreeMap, ffi::OsString, path::Path, time::Duration};

use super::{
    built_in,
    config::AgentsConfig,
    environment::read_variable,
    error::{AgentConfigError, chain},
    file::{self, Entry},
    program,
    spec::{ARGV, AgentSpec},
};

/// The agents of one worker.
#[derive(Debug)]
pub struct Agents {
    usable: BTreeMap<String, AgentSpec>,
    unavailable: Vec<(String, String)>,
}

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
    pub fn load_with(
        config: &AgentsConfig,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, AgentConfigError> {
        let mut problems = Vec::new();
        let mut entries = match config.file.as_deref().map(read_file).unwrap_or(Ok(Vec::new())) {
            Ok(entries) => entries,
            Err(wrong) => {
                problems.extend(wrong);
                Vec::new()
            }
        };
        problems.extend(built_in::check_base_url(&config.codex_base_url).err());
        for built_in in built_in::entries(config) {
            if !entries.iter().any(|entry| entry.name == built_in.name) {
                entries.push(built_in);
            }
        }
        let mut agents = Self { usable: BTreeMap::new(), unavailable: Vec::new() };
        for entry in entries {
            let wrong = agents.add(entry, config.grace, environment);
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

    fn add(
        &mut self,
        mut entry: Entry,
        grace: Duration,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Vec<String> {
        let path = program::search_path();
        if entry.argv[0] != ARGV {
            match program::find(&entry.argv[0], &path) {
                Ok(found) => entry.argv[0] = found.to_string_lossy().into_owned(),
                Err(reason) => {
                    self.unavailable.push((entry.name, reason));
                    return Vec::new();
                }
            }
        }
        let (mut variables, mut problems) = (Vec::new(), Vec::new());
        for name in &entry.env {
            match read_variable(name, environment) {
                Ok(variable) => variables.push(variable),
                Err(reason) => problems.push(format!("agent '{}': env: {reason}", entry.name)),
            }
        }
        let Entry { name, argv, protocol, timeout, .. } = entry;
        self.usable.insert(name.clone(), AgentSpec { name, argv, protocol, variables, timeout, grace, path });
        problems
    }
}

fn read_file(path: &Path) -> Result<Vec<Entry>, Vec<String>> {
    let text = fs_err::read_to_string(path).map_err(|error| vec![format!("DRYDOCK_AGENTS_FILE: {}", chain(&error))])?;
    file::parse(&text)
        .map_err(|problems| problems.into_iter().map(|problem| format!("{}: {problem}", path.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Protocol;

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
        assert_eq!(all, ["claude", "codex", "command", "dummy", "mini-swe-agent", "opencode"]);
    }
}
