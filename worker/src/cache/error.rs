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

impl CacheError {
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.into(), source }
    }
}
