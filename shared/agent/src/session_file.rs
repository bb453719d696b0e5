//! The `[session.NAME]` tables of `agents.toml`: servers that sessions run.

use std::{ops::RangeInclusive, time::Duration};

use drydock_jail::Network;
use regex_automata::meta::Regex;
use serde::Deserialize;

use super::{
    file::{check_program, timeout},
    limits::Limits,
    network,
    server::{PORT, PORT_FILE, PortWay},
};

/// How a server's port is known, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    File,
    Printed,
    Given,
}

/// One `[session.NAME]` as written.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerEntry {
    #[serde(skip)]
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) port: Way,
    #[serde(default)]
    pub(super) pattern: Option<String>,
    #[serde(default)]
    pub(super) ports: Option<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    #[serde(default, deserialize_with = "timeout")]
    pub(super) start_timeout: Option<Duration>,
    #[serde(default)]
    pub(super) preview: bool,
    #[serde(default, deserialize_with = "network::read_direct")]
    pub(super) network: Network,
    #[serde(default)]
    pub(super) limits: Limits,
}

impl ServerEntry {
    /// The way it is written, with the worker's ports where it names none.
    pub(super) fn way(&self, ports: &RangeInclusive<u16>) -> Result<PortWay, String> {
        let placeholder =
            |name: &str, wanted: bool| match (self.argv.iter().any(|argument| argument.contains(name)), wanted) {
                (false, true) => Err(format!("argv: {name} is missing, so the server does not learn it")),
                (true, false) => Err(format!("argv: {name} does not go with this port")),
                _ => Ok(()),
            };
        placeholder(PORT_FILE, self.port == Way::File)?;
        placeholder(PORT, self.port == Way::Given)?;
        match (self.port, &self.pattern, &self.ports) {
            (Way::File, None, None) => Ok(PortWay::File),
            (Way::Printed, Some(pattern), None) => printed(pattern),
            (Way::Printed, None, _) => Err("pattern: is missing; its first group is the port".to_owned()),
            (Way::Given, None, None) => Ok(PortWay::Given(ports.clone())),
            (Way::Given, None, Some(own)) => port_range(own).map(PortWay::Given).map_err(|why| format!("ports: {why}")),
            (_, Some(_), _) => Err("pattern: goes with port = \"printed\" only".to_owned()),
            (_, _, Some(_)) => Err("ports: goes with port = \"given\" only".to_owned()),
        }
    }
}

fn printed(pattern: &str) -> Result<PortWay, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("pattern: {error}"))?;
    if regex.captures_len() < 2 {
        return Err("pattern: has no group, which would be the port".to_owned());
    }
    Ok(PortWay::Printed(regex))
}

/// Reads `20000-20999`.
pub(super) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let ends = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    ends.filter(|(first, last)| 0 < *first && first <= last)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| "write two ports like 20000-29999".to_owned())
}

/// Takes the tables out of the file.
pub(super) fn take(file: &mut toml::Table, problems: &mut Vec<String>) -> Vec<ServerEntry> {
    let servers = match file.remove("session") {
        None => return Vec::new(),
        Some(toml::Value::Table(servers)) => servers,
        Some(_) => {
            problems.push("session: write each one as a [session.NAME] table".to_owned());
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for (name, server) in servers {
        match server.try_into::<ServerEntry>() {
            Ok(entry) => {
                let entry = ServerEntry { name, ..entry };
                problems
                    .extend(check(&entry).into_iter().map(|problem| format!("session '{}': {problem}", entry.name)));
                entries.push(entry);
            }
            Err(error) => problems.push(format!("session '{name}': {}", error.message())),
        }
    }
    entries
}

fn check(entry: &ServerEntry) -> Vec<String> {
    let mut problems = check_program(&entry.name, &entry.argv, &entry.env);
    problems.extend(entry.way(&(1..=u16::MAX)).err());
    if entry.start_timeout == Some(Duration::ZERO) {
        problems.push("start_timeout: must be above zero".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn problems(text: &str) -> String {
        file::parse(text).map(|_| String::new()).unwrap_or_else(|problems| problems.join("\n"))
    }

    #[test]
    fn reads_every_way_to_know_a_port() {
        let text = "[session.a]\nargv = ['x', '{port_file}']\nport = 'file'\nstart_timeout = '3s'\npreview = true\n\
            [session.b]\nargv = ['x', '{host}']\nport = 'printed'\npattern = 'port (\\d+)'\nenv = ['KEY']\n\
            [session.c]\nargv = ['x', '--port={port}']\nport = 'given'\nports = '7000-7009'\n\
            [session.d]\nargv = ['x', '{port}']\nport = 'given'\n";
        let servers = file::parse(text).unwrap().servers;
        let ways: Vec<PortWay> = servers.iter().map(|server| server.way(&(20..=30)).unwrap()).collect();
        assert!(matches!(&ways[0], PortWay::File) && matches!(&ways[1], PortWay::Printed(_)));
        let range = |way: &PortWay| match way {
            PortWay::Given(range) => range.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((range(&ways[2]), range(&ways[3])), (7000..=7009, 20..=30));
        assert_eq!(servers[0].start_timeout, Some(Duration::from_secs(3)));
        assert!(servers[0].preview && !servers[1].preview);
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let text = "[session.A]\nargv = ['./x', '{port_file}']\nport = 'file'\n\
            [session.b]\nargv = ['x']\nport = 'file'\n\
            [session.c]\nargv = ['x']\nport = 'printed'\n\
            [session.d]\nargv = ['x']\nport = 'printed'\npattern = 'no group'\n\
            [session.e]\nargv = ['x', '{port}']\nport = 'given'\nports = '9-1'\n\
            [session.f]\nargv = ['x', '{port}', '{port_file}']\nport = 'given'\n\
            [session.g]\nargv = ['x', '{port}']\nport = 'given'\npattern = 'x'\nstart_timeout = '0s'\nenv = ['PATH']\n\
            [session.h]\nargv = ['x']\nport = 'guessed'\n";
        let problems = problems(text);
        for part in [
            "session 'A': name: use",
            "session 'A': argv: './x' is a relative path",
            "session 'b': argv: {port_file} is missing",
            "session 'c': pattern: is missing",
            "session 'd': pattern: has no group",
            "session 'e': ports: write two ports",
            "session 'f': argv: {port_file} does not go with this port",
            "session 'g': pattern: goes with",
            "session 'g': start_timeout: must be above zero",
            "session 'g': env: 'PATH' is reserved",
            "session 'h': unknown variant `guessed`",
        ] {
            assert!(problems.contains(part), "{part} is not in:\n{problems}");
        }
    }

    #[test]
    fn a_range_has_two_ports() {
        assert_eq!(port_range("1-65535").unwrap(), 1..=65535);
        for bad in ["", "1", "0-5", "5-4", "1-65536", "a-b"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }
}
