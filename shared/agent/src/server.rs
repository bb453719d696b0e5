//! One session server's definition, checked and ready to run: what is started, and how its port is known.

use std::{
    ffi::{OsStr, OsString},
    net::IpAddr,
    ops::RangeInclusive,
    path::Path,
    time::Duration,
};

use regex_automata::meta::Regex;

use super::spec::{AgentSpec, WORKSPACE, expand};

/// Stands for the address to listen on.
pub(super) const HOST: &str = "{host}";
/// Stands for the name or address by which clients reach this host.
pub(super) const ADVERTISED_HOST: &str = "{advertised_host}";
/// Stands for the port that is given to it.
pub(super) const PORT: &str = "{port}";
/// Stands for the file it writes its port to.
pub(super) const PORT_FILE: &str = "{port_file}";

/// How a server's port is known.
#[derive(Clone, Debug)]
pub(super) enum PortWay {
    /// It writes it to a file.
    File,
    /// It prints it: the first group of this pattern.
    Printed(Regex),
    /// It is given a free one of these.
    Given(RangeInclusive<u16>),
}

/// A server that sessions can run.
#[derive(Debug)]
pub struct ServerSpec {
    /// Its program, environment and place, as an agent's.
    pub(super) program: AgentSpec,
    pub(super) port: PortWay,
    pub(super) start_timeout: Duration,
    pub(super) preview: bool,
    pub(super) advertised_host: String,
}

impl ServerSpec {
    /// The name sessions use.
    pub fn name(&self) -> &str {
        self.program.name()
    }

    /// Whether it shows the project to people: its address is the project's `preview_url` while it runs.
    pub fn is_preview(&self) -> bool {
        self.preview
    }

    /// The command line for one session.
    pub(super) fn command_line(
        &self,
        workspace: &Path,
        host: IpAddr,
        port: Option<u16>,
        port_file: &Path,
    ) -> Vec<OsString> {
        let (host, port) = (host.to_string(), port.unwrap_or_default().to_string());
        let values: [(&str, &OsStr); 5] = [
            (WORKSPACE, workspace.as_os_str()),
            (PORT_FILE, port_file.as_os_str()),
            (PORT, OsStr::new(&port)),
            (HOST, OsStr::new(&host)),
            (ADVERTISED_HOST, OsStr::new(&self.advertised_host)),
        ];
        self.program.argv.iter().map(|argument| expand(argument, &values)).collect()
    }
}
