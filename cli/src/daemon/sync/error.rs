//! Why a folder and its project are not alike.

use std::io;

use drydock_client::{ClientError, Refusal};

use super::down::DownError;

/// How the API says that an archive took longer than it may.
const LATE: &str = "did not arrive within";

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
        let status = self.refusal().map(|refusal| refusal.status.as_u16());
        matches!(status, Some(400 | 403 | 413 | 415 | 422)) && !self.is_late()
    }

    /// Whether less of what was sent may be taken.
    pub(crate) fn is_of_content(&self) -> bool {
        self.refusal().is_some_and(|refusal| matches!(refusal.status.as_u16(), 400 | 413 | 422))
    }

    /// Whether it came too slowly, which says nothing of what it is.
    pub(crate) fn is_late(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status.as_u16() == 400 && refusal.to_string().contains(LATE))
    }

    const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Client(ClientError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
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
