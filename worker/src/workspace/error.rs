//! `WorkspaceError`: what can go wrong with the directory of an attempt.

use std::{io, path::PathBuf};

use drydock_domain::PathError;
use drydock_storage::StorageError;

use crate::{
    cache::{CacheError, is_disk_full},
    mount::MountError,
};

/// A failed operation on a workspace or on the scratch directory.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The scratch directory cannot be used at all.
    #[error("scratch directory {} cannot be used: check DRYDOCK_SCRATCH_DIR", path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another worker holds the scratch directory.
    #[error("scratch directory {} is in use by another worker: give each its own DRYDOCK_SCRATCH_DIR", path.display())]
    RootBusy {
        /// The directory.
        path: PathBuf,
    },
    /// The file system of the scratch directory is too full to start.
    #[error(
        "scratch directory {} has {free} bytes free, less than {needed}: free some or set another DRYDOCK_SCRATCH_DIR",
        path.display()
    )]
    RootFull {
        /// The directory.
        path: PathBuf,
        /// Bytes available to the worker.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// The disk of the scratch directory is full.
    #[error(
        "no space is left on the disk of the scratch directory, could not {operation} {path:?}: free some, or set another \
         DRYDOCK_SCRATCH_DIR"
    )]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: String,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
    /// A file operation inside a workspace failed.
    #[error("could not {operation} {path:?}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Where, relative to the workspace.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent made a path that no tree can hold.
    #[error("{name:?} in {directory:?} cannot be kept")]
    Path {
        /// The directory, relative to the workspace.
        directory: String,
        /// The name in it.
        name: String,
        /// Why.
        #[source]
        source: PathError,
    },
    /// More files than a tree may have.
    #[error("the workspace has more than {limit} files and directories")]
    TooManyFiles {
        /// The limit.
        limit: u64,
    },
    /// Something could not be removed.
    #[error("{count} entries of {} could not be removed, {first:?} the first", path.display())]
    Leftovers {
        /// The directory that was to go.
        path: PathBuf,
        /// Entries left.
        count: u64,
        /// The first of them.
        first: String,
        /// Why it is.
        #[source]
        source: io::Error,
    },
    /// Object storage.
    #[error("workspace transfer failed")]
    Storage(#[source] StorageError),
    /// The node cache.
    #[error("the version cannot be brought to this node")]
    Cache(#[source] CacheError),
    /// The kernel does not mount it; another rung may do.
    #[error("the workspace cannot be mounted")]
    Mount(#[source] MountError),
    /// What lies at the workspace is not what was mounted there.
    #[error(
        "the workspace is not the mount it was: somebody unmounted it or mounted over it, and what changed cannot be told"
    )]
    NotTheMount,
    /// A rung does not do what agents need of it.
    #[error("the trial failed")]
    Trial {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A blocking task panicked or the process is shutting down.
    #[error("workspace work was interrupted")]
    Interrupted,
}

impl From<StorageError> for WorkspaceError {
    fn from(error: StorageError) -> Self {
        match error {
            // Packs are built on the same disk.
            StorageError::Io { path, source } if is_disk_full(&source) => {
                Self::DiskFull { operation: "build", path: path.display().to_string(), source }
            }
            error => Self::Storage(error),
        }
    }
}

impl From<CacheError> for WorkspaceError {
    fn from(error: CacheError) -> Self {
        match error {
            // Told apart everywhere by what storage said.
            CacheError::Storage(error) => Self::Storage(error),
            CacheError::Mount(error) => Self::Mount(error),
            error => Self::Cache(error),
        }
    }
}

impl WorkspaceError {
    /// Whether another rung may do better: no mount, no room for what this one needs besides, a disk that refuses it.
    pub(super) const fn is_the_rungs(&self) -> bool {
        matches!(
            self,
            Self::Mount(_) | Self::Cache(CacheError::Full { .. } | CacheError::DiskFull { .. } | CacheError::Io { .. })
        )
    }

    /// For `map_err` on a system call about `path`, which may be the workspace itself (empty).
    pub(super) fn io(operation: &'static str, path: &[u8]) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::of_file(operation, shown(path), errno.into())
    }

    /// A failed file operation, told apart by whether the disk is full.
    pub(super) fn of_file(operation: &'static str, path: String, source: io::Error) -> Self {
        if is_disk_full(&source) {
            Self::DiskFull { operation, path, source }
        } else {
            Self::Io { operation, path, source }
        }
    }

    /// For callers that know files only.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::DiskFull { source, .. } | Self::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

pub(super) fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { String::from_utf8_lossy(path).into_owned() }
}
