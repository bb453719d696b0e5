//! `CacheError`: why a version's contents are not on this node.

use std::{io, path::PathBuf};

use drydock_storage::StorageError;

use crate::mount::MountError;

/// A tree could not be brought to this node, or the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nothing more can be evicted, and it still does not fit.
    #[error(
        "the cache has no room for {needed} bytes ({limit}): give it more with DRYDOCK_CACHE_MAX_BYTES or a larger disk"
    )]
    Full {
        /// Bytes wanted.
        needed: u64,
        /// What they would exceed.
        limit: String,
    },
    /// The disk was full before the bounds above knew.
    #[error(
        "no space is left on the disk of the cache, could not {operation} in {}: free some, or leave more free with \
         DRYDOCK_CACHE_MIN_FREE_BYTES",
        path.display()
    )]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
    /// Another worker uses the directory.
    #[error("the cache directory {} is in use by another worker: give each its own DRYDOCK_CACHE_DIR", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A file operation in the cache directory failed.
    #[error("could not {operation} in the cache directory {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel does not mount an image.
    #[error("could not mount an image of the cache")]
    Mount(#[source] MountError),
    /// Object storage.
    #[error("cannot fetch contents")]
    Storage(#[from] StorageError),
    /// A blocking task panicked or the process is shutting down.
    #[error("work on the cache was interrupted")]
    Interrupted,
}

/// No space, or none for this user.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl CacheError {
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.into();
            if is_disk_full(&source) {
                Self::DiskFull { operation, path, source }
            } else {
                Self::Io { operation, path, source }
            }
        }
    }
}
