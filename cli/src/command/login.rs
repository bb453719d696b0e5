//! `drydock login`, `logout` and `whoami`: who this command is to the server.

use clap::Args;
use drydock_client::{Client, Document, views::Whoami};
use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::{Context, Patience, connection};
use crate::{CliError, Exit, contexts::Entry, output::time};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock login --server https://drydock.example.org
  drydock login --context staging --server https://staging.example.org --token-file key.txt
  pass show drydock | drydock login

Where the server takes tokens of an OIDC issuer, one of those does as well, until it expires. The key is asked for, or comes from --token-file, DRYDOCK_API_KEY or standard input; never from an argument,
which others on this host can read. It is kept in $XDG_CONFIG_HOME/drydock/config.toml, for its owner alone.")]
pub(super) struct LoginArgs {
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  drydock logout

The key is forgotten here and still counts: `drydock key revoke` ends it.")]
pub(super) struct LogoutArgs {}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock whoami")]
pub(super) struct WhoamiArgs {
    #[command(flatten)]
    pub(super) patience: Patience,
}

/// Checks the key with the server, then keeps both.
pub(super) async fn login(context: &Context) -> Result<Exit, CliError> {
    let mut contexts = context.connection.contexts()?;
    let name = context.connection.context_name(&contexts);
    let server = context.connection.server_for(&contexts, &name);
    let key = match context.connection.given_key()? {
        Some(key) => key,
        None => connection::ask_for_key()?,
    };
    if key.expose_secret().is_empty() {
        return Err(CliError::Usage("no key was given".to_owned()));
    }
    let client = Client::new(&server, Some(&key))?;
    if !is_private(client.server()) {
        context.output.warn(&format!("warning: {server} is reached without TLS, and whoever is between reads the key"));
    }
    let who: Document<Whoami> = client.get(["whoami"]).document().await?;
    contexts.put(&name, Entry { server, key: Some(key) })?;
    context.output.note(&format!("context '{name}' is in use"));
    context.output.answer(&who.raw, || tell(&who.value)).map(|()| Exit::Ok)
}

pub(super) fn logout(context: &Context) -> Result<Exit, CliError> {
    let mut contexts = context.connection.contexts()?;
    let name = context.connection.context_name(&contexts);
    let prefix = contexts.get(&name)?.prefix();
    if contexts.forget_key(&name)? {
        let what = match prefix {
            Some(prefix) => {
                format!("forgot the key dd_{prefix}_… of context '{name}'; it still counts until it is revoked")
            }
            None => format!("forgot the token of context '{name}'; it still counts until it expires"),
        };
        context.output.note(&what);
    } else {
        context.output.note(&format!("context '{name}' has no key"));
    }
    Ok(Exit::Ok)
}

pub(super) async fn whoami(context: &Context) -> Result<Exit, CliError> {
    let who: Document<Whoami> = context.client()?.get(["whoami"]).document().await?;
    context.output.answer(&who.raw, || tell(&who.value)).map(|()| Exit::Ok)
}

fn is_private(server: &Url) -> bool {
    let local = |host: &str| {
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    server.scheme() == "https" || server.host_str().is_some_and(local)
}

fn tell(who: &Whoami) -> String {
    let mut lines = vec![format!("tenant  {}", who.tenant.name)];
    match &who.key {
        Some(key) => {
            let until = key.expires_at.map(|at| format!(", until {}", time(at))).unwrap_or_default();
            lines.push(format!("key     {} (dd_{}_…{until})", key.name, key.prefix));
        }
        None if who.identity.is_some() => {}
        None => lines.push("key     none: no key exists, so everybody may do everything".to_owned()),
    }
    lines.extend(who.identity.as_ref().map(|its| format!("token   {} of {}", its.subject, its.issuer)));
    lines.extend(who.user.as_ref().map(|user| match &user.email {
        Some(email) => format!("user    {} <{email}>", user.name),
        None => format!("user    {}", user.name),
    }));
    lines.push(format!("role    {}", who.role));
    lines.push(format!("scopes  {}", who.scopes.join(", ")));
    lines.join("\n")
}
