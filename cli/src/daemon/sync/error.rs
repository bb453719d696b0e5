//! Why a folder and its project are not alike.

use std::io;

use drydock_client::ClientError;

use super::down::DownError;

/// Why they are not alike.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The server refuses, or stays away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The folder cannot be read or written.
    #[error("cannot read or write the folder")]
    Disk(#[from] io::Error),
    /// Something changes again and again.
    #[error("the folder or the newest version changes faster than they can be compared")]
    Unsettled,
}

impl SyncError {
    /// Whether the server refuses what is sent, and will as long as the folder is as it is.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Client(ClientError::Refused(refusal)) if matches!(refusal.status.as_u16(), 400 | 403 | 413 | 415 | 422))
    }
}

impl From<DownError> for SyncError {
    fn from(error: DownError) -> Self {
        match error {
            DownError::Client(error) => Self::Client(error),
            DownError::Disk(error) => Self::Disk(error),
        }
    }
}
