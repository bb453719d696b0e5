//! The daemon's own token: given, kept from an earlier run, or made with the login key. It opens one project and nothing else.

use std::path::Path;

use drydock_client::{Client, ClientError, Document};
use drydock_domain::ProjectId;
use secrecy::SecretString;
use serde::Deserialize;

use super::{error::DaemonError, state::StateDir};

/// Characters of a token's name.
const NAME: usize = 200;

/// A token, and whose it is.
#[derive(Clone, Debug)]
pub(crate) enum Token {
    /// Somebody gave it.
    Given(SecretString),
    /// An earlier run made it.
    Kept(SecretString),
    /// This run made it.
    Made(SecretString),
}

#[derive(Debug, Deserialize)]
struct Created {
    token: SecretString,
}

impl Token {
    /// The given one, else the kept one, else one that is made now.
    ///
    /// # Errors
    /// None can be made, or kept.
    pub(crate) async fn find(
        given: Option<SecretString>,
        state: &StateDir,
        login: &Client,
        project: ProjectId,
        folder: &Path,
    ) -> Result<Self, DaemonError> {
        if let Some(given) = given {
            return Ok(Self::Given(given));
        }
        match state.token().map_err(DaemonError::Disk)? {
            Some(kept) => Ok(Self::Kept(kept)),
            None => Self::make(state, login, project, folder).await,
        }
    }

    /// Makes one and keeps it.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub(crate) async fn make(
        state: &StateDir,
        login: &Client,
        project: ProjectId,
        folder: &Path,
    ) -> Result<Self, DaemonError> {
        let host = rustix::system::uname();
        let name = format!("{}:{}", host.nodename().to_string_lossy(), folder.display());
        let name: String = name.chars().take(NAME).collect();
        let call = login.post(["workspaces", project.to_string().as_str(), "tokens"]);
        let made: Document<Created> =
            call.json(&serde_json::json!({"name": name})).document().await.map_err(DaemonError::NoToken)?;
        state.keep_token(&made.value.token).map_err(DaemonError::Disk)?;
        Ok(Self::Made(made.value.token))
    }

    /// The token itself.
    pub(crate) const fn secret(&self) -> &SecretString {
        match self {
            Self::Given(token) | Self::Kept(token) | Self::Made(token) => token,
        }
    }

    /// Whether the server refuses it. One that is away refuses nothing: what it says is heard later.
    ///
    /// # Errors
    /// The project is not there, or the server refuses for another reason.
    pub(crate) async fn is_refused(&self, server: &Client, project: ProjectId) -> Result<bool, DaemonError> {
        match server.project(&project.to_string()).await {
            Ok(_) => Ok(false),
            Err(ClientError::Refused(refusal)) if refusal.status.as_u16() == 401 => Ok(true),
            Err(error) if error.is_transient() => Ok(false),
            Err(error) => Err(DaemonError::Client(error)),
        }
    }
}
