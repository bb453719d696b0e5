//! `agents.toml`: one `[[agent]]` table for each agent, one `[session.NAME]` table for each session server (`session_file`). Unknown fields are refused, and every mistake of the file is reported at once.

use std::time::Duration;

use serde::Deserialize;

use super::{
    endpoint::{self, EndpointEntry, Secrets},
    environment,
    limits::Limits,
    network::{self, Declared},
    session_file::{self, ServerEntry},
    spec::Protocol,
};

/// One `[[agent]]` as written.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) env: Vec<String>,
    #[serde(default, deserialize_with = "timeout")]
    pub(super) timeout: Option<Duration>,
    #[serde(default, deserialize_with = "network::read")]
    pub(super) network: Declared,
    #[serde(default)]
    pub(super) secrets: Secrets,
    #[serde(default, rename = "endpoint")]
    pub(super) endpoints: Vec<EndpointEntry>,
    #[serde(default)]
    pub(super) limits: Limits,
}

/// A file as written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AgentsFile {
    pub(super) agents: Vec<Entry>,
    pub(super) servers: Vec<ServerEntry>,
}

pub(super) fn timeout<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = drydock_runtime::config::duration(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(duration))
}

/// The file's agents and session servers, in its order, or all that is wrong with it.
pub(super) fn parse(text: &str) -> Result<AgentsFile, Vec<String>> {
    let mut file: toml::Table =
        text.parse().map_err(|error: toml::de::Error| vec![error.to_string().trim_end().to_owned()])?;
    let mut problems = Vec::new();
    let agents = match file.remove("agent") {
        None => Vec::new(),
        Some(toml::Value::Array(agents)) => agents,
        Some(_) => {
            problems.push("agent: write each one as an [[agent]] table".to_owned());
            Vec::new()
        }
    };
    let servers = session_file::take(&mut file, &mut problems);
    problems.extend(
        file.keys().map(|field| format!("{field}: unknown field, expected [[agent]] and [session.NAME] tables only")),
    );
    let mut entries: Vec<Entry> = Vec::new();
    for (index, agent) in agents.into_iter().enumerate() {
        let label = agent
            .get("name")
            .and_then(toml::Value::as_str)
            .map_or_else(|| format!("number {}", index + 1), |name| format!("'{name}'"));
        match agent.try_into::<Entry>() {
            Ok(entry) => {
                problems.extend(check(&entry).into_iter().map(|problem| format!("agent {label}: {problem}")));
                if entries.iter().any(|earlier| earlier.name == entry.name) {
                    problems.push(format!("agent {label}: name: used twice"));
                }
                entries.push(entry);
            }
            Err(error) => problems.push(format!("agent {label}: {}", error.message())),
        }
    }
    if problems.is_empty() { Ok(AgentsFile { agents: entries, servers }) } else { Err(problems) }
}

fn check(entry: &Entry) -> Vec<String> {
    let mut problems = check_program(&entry.name, &entry.argv, &entry.env);
    if entry.timeout == Some(Duration::ZERO) {
        problems.push("timeout: must be above zero".to_owned());
    }
    problems.extend(endpoint::check(entry));
    problems.extend(entry.limits.zero().map(|field| format!("limits.{field}: must be above zero")));
    problems
}

/// What agents and servers have in common.
pub(super) fn check_program(name: &str, argv: &[String], env: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        problems.push("name: use 1 to 64 of a-z, 0-9, - and _".to_owned());
    }
    match argv.first() {
        None => problems.push("argv: names no program".to_owned()),
        Some(program) if program.is_empty() => problems.push("argv: the program's name is empty".to_owned()),
        Some(program) if program.contains('/') && !program.starts_with('/') => {
            problems.push(format!("argv: '{program}' is a relative path; use an absolute one or a name on PATH"));
        }
        Some(_) => {}
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        problems.push("argv: holds a NUL byte".to_owned());
    }
    problems.extend(env.iter().filter_map(|name| environment::check_name(name).err()).map(|why| format!("env: {why}")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_field() {
        let text = "[[agent]]\nname = 'a-1'\nargv = ['x', '{instruction}']\nprotocol = 'exit'\nenv = ['KEY']\ntimeout = '5m'\n";
        let entries = parse(text).unwrap().agents;
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].timeout, Some(Duration::from_secs(300)));
        assert_eq!(entries[0].env, ["KEY"]);
        assert_eq!(parse("").unwrap(), AgentsFile::default());
    }

    #[test]
    fn reports_all_mistakes_and_names_the_fields() {
        let text = "colour = 1\n\
            [[agent]]\nname = 'A B'\nargv = []\nprotocol = 'exit'\nenv = ['PATH', 'x=y']\ntimeout = '0s'\n\
            [[agent]]\nname = 'b'\nargv = ['./run']\nprotocol = 'file'\n\
            [[agent]]\nname = 'b'\nargv = ['x']\nprotocol = 'smoke'\n\
            [[agent]]\nname = 'c'\nargv = ['x']\nprotocol = 'file'\nshell = true\n\
            [[agent]]\nargv = ['x']\nprotocol = 'file'\n\
            [[agent]]\nname = 'd'\nargv = ['x']\nprotocol = 'file'\ntimeout = 'soon'\n";
        let problems = parse(text).unwrap_err().join("\n");
        for part in [
            "colour: unknown field",
            "agent 'A B': name: use",
            "agent 'A B': argv: names no program",
            "agent 'A B': env: 'PATH' is reserved",
            "agent 'A B': env: 'x=y' is not a variable's name",
            "agent 'A B': timeout: must be above zero",
            "agent 'b': argv: './run' is a relative path",
            "agent 'b': unknown variant `smoke`",
            "agent 'c': unknown field `shell`",
            "agent number 5: missing field `name`",
            "agent 'd': 'soon' is no duration",
        ] {
            assert!(problems.contains(part), "{part} is not in:\n{problems}");
        }
    }

    #[test]
    fn broken_toml_says_where() {
        let problems = parse("[[agent]]\nname = ").unwrap_err();
        assert!(problems[0].contains("line 2"), "{problems:?}");
        assert!(parse("agent = 3").unwrap_err()[0].contains("[[agent]]"));
    }
}
