//! Why a daemon did not start, or does not go on.

use std::{io, path::PathBuf};

use drydock_agent::AgentConfigError;
use drydock_client::ClientError;
use drydock_runtime::config::ConfigError;

use super::{
    link::{AddressError, Final},
    state::StateError,
};
use crate::Exit;

/// A daemon that ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The project's id is none.
    #[error("--project: '{0}' is no project's id: drydock project ls lists them")]
    Project(String),
    /// There is no such folder.
    #[error("--dir: '{}' is no folder that can be used", path.display())]
    Folder {
        /// What was given.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The disk fails.
    #[error("cannot keep the daemon's state")]
    Disk(#[source] io::Error),
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The given token cannot be read.
    #[error("--daemon-token-file cannot be read")]
    TokenFile(#[source] io::Error),
    /// The agents cannot be used.
    #[error(transparent)]
    Agents(#[from] AgentConfigError),
    /// The server refuses, or cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No token was given, and none can be made.
    #[error("no token for the daemon could be made")]
    NoToken(#[source] ClientError),
    /// The server's address must not be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The fleet wants no connection any more.
    #[error(transparent)]
    Ended(#[from] Final),
}

impl DaemonError {
    /// Its exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Project(_) => Exit::Usage,
            Self::State(StateError::Held { .. }) => Exit::Conflict,
            Self::Folder { .. } | Self::State(_) | Self::Settings(_) | Self::TokenFile(_) | Self::Agents(_) => {
                Exit::Config
            }
            Self::Disk(_) => Exit::Failed,
            Self::Client(error) | Self::NoToken(error) => error.into(),
            Self::Address(_) => Exit::Config,
            Self::Ended(over) => match over {
                Final::Unauthorized(_) | Final::Revoked(_) | Final::Address(_) => Exit::Config,
                Final::NoProject(_) => Exit::NotFound,
                Final::Replaced(_) | Final::Isolation(_) => Exit::Conflict,
                Final::Protocol(_) => Exit::Unavailable,
            },
        }
    }

    /// What to do, where the error does not say it.
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Ended(Final::Unauthorized(_) | Final::Revoked(_)) => Some(
                "a token from DRYDOCK_DAEMON_TOKEN or --daemon-token-file: make another one at POST /api/v1/workspaces/PROJECT/tokens; \
                 one that the daemon made itself: start it again, it makes another with your login key",
            ),
            Self::NoToken(_) => Some(
                "the daemon makes its token with your login key: drydock login, or give one by DRYDOCK_DAEMON_TOKEN or --daemon-token-file",
            ),
            _ => None,
        }
    }
}
