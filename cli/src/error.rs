//! Why a command failed, and with which exit code.

use std::{io, path::PathBuf};

use drydock_client::ClientError;
use drydock_collector::CollectError;
use drydock_database::DatabaseError;
use drydock_storage::{StorageError, StorageErrorKind};

use crate::{Exit, contexts::ContextsError, daemon::DaemonError};

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The server refused, or could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A setting is missing or wrong.
    #[error("cannot use the settings")]
    Settings(#[from] drydock_runtime::config::ConfigError),
    /// The contexts cannot be used.
    #[error(transparent)]
    Contexts(#[from] ContextsError),
    /// The key that is to be sent cannot be read.
    #[error("cannot read the key")]
    Key(#[source] io::Error),
    /// The database could not be asked, or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Object storage could not be asked, or refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file or directory to send cannot be read.
    #[error("cannot read what is to be sent")]
    Input(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A folder to write to has something in it.
    #[error("'{}' is not empty: name another folder, or write into it with --force", .0.display())]
    Occupied(PathBuf),
    /// Another version is the newest than was meant.
    #[error(
        "the newest version is {newest}, not {meant}: look at what changed (drydock diff PROJECT {meant} {newest}), then push on it"
    )]
    Moved {
        /// Which was to be followed.
        meant: u64,
        /// Which there is.
        newest: u64,
    },
    /// Files cannot be written.
    #[error("cannot write the files")]
    Files(#[source] io::Error),
    /// A daemon did not start, or does not go on.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Time was up.
    #[error("time is up")]
    TimeUp,
}

impl CliError {
    /// The error as a document, like the API's: `error`, `message` and, where there is one, the remedy as `detail`.
    pub fn body(&self) -> serde_json::Value {
        let mut body = serde_json::json!({"error": self.exit().word(), "message": drydock_runtime::exit::chain(self)});
        if let Some(remedy) = self.remedy() {
            body["detail"] = remedy.into();
        }
        body
    }

    /// What to look at first, in the words of this command.
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::Server(_) | ClientError::Unreachable { .. }) => {
                Some("the address comes from --server, DRYDOCK_API_URL or the context: drydock config explain server")
            }
            Self::Client(ClientError::Key) => {
                Some("the key comes from --token-file, DRYDOCK_API_KEY or the context: drydock config explain key")
            }
            Self::Daemon(error) => error.remedy(),
            _ => None,
        }
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.into(),
            Self::Usage(_) | Self::Input(_) => Exit::Usage,
            Self::Settings(_) | Self::Contexts(_) | Self::Key(_) => Exit::Config,
            Self::Database(error) => match error {
                DatabaseError::Url(_) => Exit::Config,
                DatabaseError::Schema { .. } | DatabaseError::Migrate(_) | DatabaseError::Different(_) => {
                    Exit::Conflict
                }
                _ => Exit::Unavailable,
            },
            Self::Storage(error) => match error.kind() {
                StorageErrorKind::Unauthorized => Exit::Config,
                _ => Exit::Unavailable,
            },
            // Whoever read our output has had enough, like `head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) | Self::Files(_) => Exit::Failed,
            Self::Occupied(_) | Self::Moved { .. } => Exit::Conflict,
            Self::Daemon(error) => error.exit(),
            Self::TimeUp => Exit::TimedOut,
        }
    }
}

impl From<CollectError> for CliError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Database(error) => error.into(),
            CollectError::Storage(error) => error.into(),
        }
    }
}
