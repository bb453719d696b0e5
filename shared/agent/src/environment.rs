//! The agent's environment: a short fixed list, the protocol's own variables, and variables its definition names.
//!
//! Nothing else of the worker's environment reaches it; the worker's holds the keys of the database, broker and storage.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use drydock_domain::AttemptId;
use drydock_domain::agent::AgentRequest;
use drydock_egress::Broker;

use super::spec::{AgentSpec, Protocol, Variable};

/// Marks every process of an attempt, so that all of them can be found at its end.
pub(super) const MARK: &str = "DRYDOCK_ATTEMPT_ID";

/// Secrets whose presence is always said in the log, whether the agent takes them or not.
const ALWAYS_SAID: [&str; 3] = OPENAI_VARIABLES;
/// What `OpenAI`'s tools read.
pub(super) const OPENAI_VARIABLES: [&str; 3] = ["OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT"];

/// Names an agent's definition may not pass: they are set here, or change how programs are loaded.
const RESERVED: [&str; 7] = ["PATH", "HOME", "TMPDIR", "LANG", "TERM", "CODEX_HOME", "PWD"];
const RESERVED_PREFIXES: [&str; 2] = ["DRYDOCK_", "LD_"];

/// What tells programs of a proxy; set for an agent that has a broker, whose entry may not pass them.
pub(super) const PROXY_VARIABLES: [&str; 9] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "NODE_USE_ENV_PROXY",
];

/// Why a variable may not be passed by this name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
    if !starts_well || !bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return Err(format!("'{name}' is not a variable's name"));
    }
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(format!("'{name}' is reserved"));
    }
    Ok(())
}

/// The worker's own value of a variable, or of the file named by `NAME_FILE`; empty counts as absent.
pub(super) fn read_variable(name: &str, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Variable, String> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let value = match (set(name), set(&format!("{name}_FILE"))) {
        (Some(value), _) => Some(value.as_bytes().to_vec()),
        (None, Some(path)) => {
            let bytes = fs_err::read(Path::new(&path)).map_err(|error| format!("{name}_FILE: {error}"))?;
            Some(bytes.trim_ascii_end().to_vec()).filter(|bytes| !bytes.is_empty())
        }
        (None, None) => None,
    };
    Ok(Variable { name: name.to_owned(), value: value.map(Into::into), stays_outside: false })
}

/// `NAME=present` or `NAME=absent` for every secret, as the agent will see it.
pub(super) fn presence(spec: &AgentSpec) -> Vec<String> {
    let passed = |name: &str| spec.variables.iter().find(|variable| variable.name == name);
    let others =
        spec.variables.iter().map(|variable| variable.name.as_str()).filter(|name| !ALWAYS_SAID.contains(name));
    let say = |name: &str| {
        let present = passed(name).is_some_and(|variable| variable.value.is_some());
        format!("{name}={}", if present { "present" } else { "absent" })
    };
    ALWAYS_SAID.into_iter().chain(others).map(say).collect()
}

/// Directories of one attempt that the agent learns of.
pub(super) struct Places<'a> {
    pub(super) workspace: &'a Path,
    pub(super) home: &'a Path,
    pub(super) tmp: &'a Path,
}

/// The whole environment of one run.
pub(super) fn build(
    spec: &AgentSpec,
    request: &AgentRequest,
    attempt: AttemptId,
    places: &Places<'_>,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.to_owned()));
    set("PATH", &spec.path);
    set("HOME", places.home.as_os_str());
    set("TMPDIR", places.tmp.as_os_str());
    set("LANG", OsStr::new("C.UTF-8"));
    set("TERM", OsStr::new("dumb"));
    variables.extend(own(request, attempt, places));
    let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.to_owned()));
    if spec.protocol == Protocol::Codex {
        set("CODEX_HOME", codex_home(places.home).as_os_str());
    }
    for variable in spec.variables.iter().filter(|variable| !variable.stays_outside) {
        if let Some(value) = variable.bytes() {
            set(&variable.name, OsStr::from_bytes(value));
        }
    }
    variables
}

/// How an agent with a broker learns of it: as of any proxy, and of the endpoints by the variables that its entry names. Where a secret
/// would be stands the placeholder.
pub(super) fn way_out(spec: &AgentSpec, broker: &Broker) -> Vec<(OsString, OsString)> {
    let (proxy, rules) = (broker.proxy_url(), broker.rules());
    // Its endpoints are there, and whatever it serves for itself; unless its entry says that this name is somebody else's.
    let is_own = |name: &&str| !rules.domains.iter().any(|domain| domain.names(name));
    let own = ["127.0.0.1", "::1", "localhost"].into_iter().filter(is_own).collect::<Vec<_>>().join(",");
    let proxies = PROXY_VARIABLES.iter().map(|&name| {
        let value = match name {
            "NO_PROXY" | "no_proxy" => &own,
            "NODE_USE_ENV_PROXY" => "1",
            _ => &proxy,
        };
        (name.into(), value.into())
    });
    let endpoints = rules.endpoints.iter().map(|endpoint| (endpoint.name().into(), broker.url(endpoint).into()));
    let outside = spec.variables.iter().filter(|variable| variable.stays_outside && variable.value.is_some());
    let placeholders = outside.map(|variable| (variable.name.as_str().into(), broker.placeholder().into()));
    proxies.chain(endpoints).chain(placeholders).collect()
}

/// The protocol's own variables.
pub(super) fn own(request: &AgentRequest, attempt: AttemptId, places: &Places<'_>) -> [(OsString, OsString); 6] {
    [
        (MARK.into(), attempt.to_string().into()),
        ("DRYDOCK_PROJECT_ID".into(), request.project_id.to_string().into()),
        ("DRYDOCK_JOB_ID".into(), request.job_id.to_string().into()),
        ("DRYDOCK_JOB_TYPE".into(), request.job_type.as_str().into()),
        ("DRYDOCK_ATTEMPT".into(), request.attempt.to_string().into()),
        ("DRYDOCK_WORKSPACE".into(), places.workspace.into()),
    ]
}

/// Where Codex keeps its state: never in the workspace, whose owner could then configure it, nor under a temporary directory,
/// where it refuses to make its helpers.
pub(super) fn codex_home(home: &Path) -> std::path::PathBuf {
    home.join("codex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_do_harm_are_refused() {
        for bad in ["", "1A", "A=B", "A B", "A\0", "PATH", "HOME", "LD_PRELOAD", "DRYDOCK_DATABASE_URL", "ü"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["OPENAI_API_KEY", "_x", "a1"] {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
    }
}
