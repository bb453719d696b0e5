//! Which server is asked, and with which key. A flag wins over the environment, that over the context, and that over the default.

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use drydock_runtime::config::optional_secret;
use secrecy::SecretString;

use crate::{
    CliError,
    contexts::{Contexts, ContextsError},
};

const SERVER: &str = "http://127.0.0.1:8080";
/// Longer than any key, and than any token that is taken.
const MAX_KEY: u64 = 20 * 1024;

#[derive(Debug, Args)]
pub(super) struct Connection {
    #[arg(
        short,
        long,
        global = true,
        env = "DRYDOCK_API_URL",
        value_name = "URL",
        help = "The server [default: the context's, else http://127.0.0.1:8080]"
    )]
    server: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A file that holds the key to send, - for standard input; wins over DRYDOCK_API_KEY and the context"
    )]
    token_file: Option<PathBuf>,
    /// The context to use, instead of the current one
    #[arg(long, global = true, env = "DRYDOCK_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// The file of contexts
    #[arg(long, global = true, env = "DRYDOCK_CONFIG", value_name = "FILE", hide = true)]
    config: Option<PathBuf>,
}

/// Whom to ask, and who asks.
pub(super) struct Resolved {
    pub(super) server: String,
    pub(super) key: Option<SecretString>,
}

impl Connection {
    pub(super) fn contexts(&self) -> Result<Contexts, ContextsError> {
        Contexts::load(self.config.as_deref())
    }

    /// The name of the context in use, whether it is there or not.
    pub(super) fn context_name(&self, contexts: &Contexts) -> String {
        self.context.clone().unwrap_or_else(|| contexts.current().to_owned())
    }

    /// The server that the context `name` is, or is to be, of.
    pub(super) fn server_for(&self, contexts: &Contexts, name: &str) -> String {
        let kept = || contexts.find(name).map(|context| context.server.clone());
        self.server.clone().or_else(kept).unwrap_or_else(|| SERVER.to_owned())
    }

    /// What to connect with. A context's key goes to the context's server alone.
    pub(super) fn resolve(&self) -> Result<Resolved, CliError> {
        let contexts = self.contexts()?;
        if let Some(named) = &self.context {
            contexts.get(named)?;
        }
        let name = self.context_name(&contexts);
        let (server, context) = (self.server_for(&contexts, &name), contexts.find(&name));
        let own = context.filter(|context| same(&context.server, &server)).and_then(|context| context.key.clone());
        Ok(Resolved { server, key: self.given_key()?.or(own) })
    }

    /// The key given by flag or environment.
    pub(super) fn given_key(&self) -> Result<Option<SecretString>, CliError> {
        match &self.token_file {
            Some(path) => read_key(path).map(Some),
            None => Ok(optional_secret("DRYDOCK_API_KEY")?),
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn read_key(path: &Path) -> Result<SecretString, CliError> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(MAX_KEY).read_to_string(&mut text),
        _ => fs_err::File::open(path).and_then(|file| file.take(MAX_KEY).read_to_string(&mut text)),
    };
    read.map_err(CliError::Key)?;
    Ok(text.trim().into())
}

/// Asks for a key: without showing it on a terminal, else the first of standard input.
pub(super) fn ask_for_key() -> Result<SecretString, CliError> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("API key: ").map_err(CliError::Key)?.trim().into());
    }
    read_key(Path::new("-"))
}
