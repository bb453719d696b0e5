//! `secrets` and `[[agent.endpoint]]` of an agent's entry: secrets that stay outside of its walls, and where its broker adds them.

use std::{collections::BTreeMap, ffi::OsString};

use drydock_egress::{Endpoint, EndpointError, KeyHeader, Rules};
use drydock_jail::Network;
use serde::Deserialize;

use super::{
    environment::{self, PROXY_VARIABLES, read_variable},
    file::Entry,
    network::Declared,
    spec::Variable,
};

/// What becomes of an agent's secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    /// They are in its environment.
    #[default]
    Env,
    /// It gets placeholders; the broker adds them to its requests.
    Broker,
}

/// One `[[agent.endpoint]]` as written.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointEntry {
    /// The worker's variable.
    pub(super) secret: String,
    pub(super) url: String,
    /// What the agent reads the place from.
    pub(super) variable: String,
    #[serde(default)]
    pub(super) header: Option<String>,
    /// More headers that the worker adds, with the variables they come from.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

impl EndpointEntry {
    /// The worker's variables that it takes.
    fn secrets(&self) -> impl Iterator<Item = &String> {
        [&self.secret].into_iter().chain(self.headers.values())
    }

    fn header(&self) -> Result<KeyHeader, EndpointError> {
        self.header.as_deref().map_or(Ok(KeyHeader::Bearer), str::parse)
    }
}

/// Whether an entry's agent gets a broker.
pub(super) fn is_brokered(entry: &Entry) -> bool {
    entry.secrets == Secrets::Broker || matches!(entry.network, Declared::Domains(_))
}

/// What contradicts itself.
pub(super) fn check(entry: &Entry) -> Vec<String> {
    let mut problems = Vec::new();
    match entry.secrets {
        Secrets::Env if !entry.endpoints.is_empty() => {
            problems.push("endpoint: goes with secrets = \"broker\" only; write that, or take it out".to_owned());
        }
        Secrets::Env => {}
        Secrets::Broker => problems.extend(check_broker(entry)),
    }
    if is_brokered(entry) {
        let reserved = entry.env.iter().filter(|name| PROXY_VARIABLES.contains(&name.as_str()));
        problems.extend(reserved.map(|name| format!("env: '{name}' is reserved, the broker is told by it")));
    }
    problems
}

fn check_broker(entry: &Entry) -> Vec<String> {
    let mut problems = Vec::new();
    if !matches!(entry.network, Declared::Domains(_) | Declared::Direct(Network::Closed)) {
        let remedy = "write network = { domains = [\"…\"] }, or leave it out";
        problems.push(format!("network: ports and \"open\" do not go with secrets = \"broker\"; {remedy}"));
    }
    if entry.endpoints.is_empty() {
        problems
            .push("endpoint: is missing; secrets = \"broker\" wants an [[agent.endpoint]] for each place".to_owned());
    }
    let remedy = "give it an [[agent.endpoint]], or write secrets = \"env\"";
    problems.extend(entry.env.iter().map(|name| {
        format!("env: the value of '{name}' would reach the agent, against secrets = \"broker\"; {remedy}")
    }));
    for (index, endpoint) in entry.endpoints.iter().enumerate() {
        let before = &entry.endpoints[..index];
        let wrong = check_endpoint(endpoint, before);
        problems.extend(wrong.into_iter().map(|problem| format!("endpoint.{problem}")));
        let all = entry.endpoints.iter().flat_map(EndpointEntry::secrets);
        if all.into_iter().any(|secret| *secret == endpoint.variable) {
            problems.push(format!("endpoint.variable: '{}' is a secret's name", endpoint.variable));
        }
    }
    problems
}

fn check_endpoint(endpoint: &EndpointEntry, before: &[EndpointEntry]) -> Vec<String> {
    let mut problems = Vec::new();
    let named = |field: &'static str, name: &str| {
        let reserved = PROXY_VARIABLES.contains(&name).then(|| format!("'{name}' is reserved"));
        environment::check_name(name).err().or(reserved).map(|why| format!("{field}: {why}"))
    };
    problems.extend(named("secret", &endpoint.secret));
    problems.extend(endpoint.headers.values().filter_map(|name| named("headers", name)));
    problems.extend(named("variable", &endpoint.variable));
    if before.iter().any(|earlier| earlier.variable == endpoint.variable) {
        problems.push(format!("variable: '{}' is used twice", endpoint.variable));
    }
    let made = endpoint.header().and_then(|header| Endpoint::new(&endpoint.variable, &endpoint.url, header, None));
    let made = made
        .and_then(|made| endpoint.headers.keys().try_fold(made, |made, header| made.with(header, Vec::new().into())));
    problems.extend(made.err().map(|why| why.to_string()));
    problems
}

/// What the agent's broker lets through, with the secrets that stay outside; `problems` gets what is wrong with these.
pub(super) fn rules(
    entry: &Entry,
    environment: &dyn Fn(&str) -> Option<OsString>,
    problems: &mut Vec<String>,
) -> (Rules, Vec<Variable>) {
    let domains = match &entry.network {
        Declared::Domains(domains) => domains.clone(),
        Declared::Direct(_) => Vec::new(),
    };
    let mut rules = Rules { domains, endpoints: Vec::new() };
    let mut variables: Vec<Variable> = Vec::new();
    for endpoint in &entry.endpoints {
        for secret in endpoint.secrets().collect::<Vec<_>>() {
            if variables.iter().any(|known| known.name == *secret) {
                continue;
            }
            match read_variable(secret, environment) {
                Ok(variable) => variables.push(Variable { stays_outside: true, ..variable }),
                Err(reason) => problems.push(format!("endpoint.secret: {reason}")),
            }
        }
        match with_secrets(endpoint, &variables) {
            Ok(endpoint) => rules.endpoints.push(endpoint),
            Err(why) => problems.push(format!("endpoint.secret: '{}': {why}", endpoint.secret)),
        }
    }
    (rules, variables)
}

fn with_secrets(entry: &EndpointEntry, variables: &[Variable]) -> Result<Endpoint, EndpointError> {
    let value = |name: &String| {
        let variable = variables.iter().find(|variable| variable.name == *name);
        variable.and_then(Variable::bytes).map(|bytes| bytes.to_vec().into())
    };
    let mut endpoint = Endpoint::new(&entry.variable, &entry.url, entry.header()?, value(&entry.secret))?;
    for (header, name) in &entry.headers {
        if let Some(value) = value(name) {
            endpoint = endpoint.with(header, value)?;
        }
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use crate::file;

    fn problems(fields: &str) -> String {
        let text = format!("[[agent]]\nname = 'a'\nargv = ['x']\nprotocol = 'exit'\n{fields}");
        file::parse(&text).map(|_| String::new()).unwrap_or_else(|problems| problems.join("\n"))
    }

    const ENDPOINT: &str =
        "[[agent.endpoint]]\nsecret = 'KEY'\nurl = 'https://api.example/v1'\nvariable = 'BASE_URL'\n";

    #[test]
    fn a_broker_is_asked_for_by_domains_by_secrets_or_by_both() {
        for good in [
            "network = { domains = ['a.example', '*.b.example:8443'] }\nenv = ['KEY']\n".to_owned(),
            "network = { domains = [] }\n".to_owned(),
            "network = { domains = [{ domain = 'git.corp.example', private = true }, 'a.example'] }\n".to_owned(),
            format!("secrets = 'broker'\n{ENDPOINT}"),
            format!("secrets = 'broker'\nnetwork = {{ domains = ['a.example'] }}\n{ENDPOINT}"),
            format!(
                "secrets = 'broker'\n{ENDPOINT}header = 'x-api-key'\nheaders = {{ 'OpenAI-Project' = 'OPENAI_PROJECT' }}\n"
            ),
        ] {
            assert_eq!(problems(&good), "", "{good}");
        }
    }

    #[test]
    fn contradictions_name_field_and_remedy() {
        let broker = |fields: &str| format!("secrets = 'broker'\n{fields}\n{ENDPOINT}");
        for (text, part) in [
            (ENDPOINT.to_owned(), "endpoint: goes with secrets = \"broker\" only"),
            ("secrets = 'broker'\n".to_owned(), "endpoint: is missing"),
            ("secrets = 'vault'\n".to_owned(), "unknown variant `vault`"),
            (broker("network = 'open'"), "network: ports and \"open\" do not go with"),
            (broker("network = [443]"), "write network = { domains"),
            (broker("env = ['OTHER']"), "env: the value of 'OTHER' would reach the agent"),
            (broker("") + ENDPOINT, "endpoint.variable: 'BASE_URL' is used twice"),
            (broker("").replace("'BASE_URL'", "'KEY'"), "endpoint.variable: 'KEY' is a secret's name"),
            (broker("").replace("'BASE_URL'", "'HTTPS_PROXY'"), "endpoint.variable: 'HTTPS_PROXY' is reserved"),
            (broker("").replace("'BASE_URL'", "'PATH'"), "endpoint.variable: 'PATH' is reserved"),
            (broker("").replace("'KEY'", "'A B'"), "endpoint.secret: 'A B' is not a variable's name"),
            (broker("").replace("https://api", "https://u:p@api"), "endpoint.url: use http:// or https://"),
            (broker("").replace("https://api", "ftp://api"), "endpoint.url: use http:// or https://"),
            (broker("") + "header = 'a b'\n", "endpoint.header: 'a b' is no name of a header"),
            (broker("") + "colour = 1\n", "unknown field `colour`"),
            ("network = { domains = ['a.example'] }\nenv = ['NO_PROXY']\n".to_owned(), "env: 'NO_PROXY' is reserved"),
            ("network = { domains = ['127.0.0.1'] }\n".to_owned(), "'127.0.0.1' is an address: write the host's name"),
            ("network = { domains = ['*.org'] }\n".to_owned(), "whole top level domain"),
            ("network = { domains = 'a.example' }\n".to_owned(), "network: write"),
            ("network = { hosts = ['a.example'] }\n".to_owned(), "network: write"),
        ] {
            let told = problems(&text);
            assert!(told.contains(part), "{part} is not in:\n{told}\n{text}");
        }
    }
}
