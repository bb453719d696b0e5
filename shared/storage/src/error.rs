//! `StorageError`: what can go wrong between a tree and the bucket, one variant per thing a caller treats differently.
//!
//! Messages name the object, entry or setting to look at; causes stay in `source()` and are printed by whoever logs.

use std::path::PathBuf;

use drydock_domain::{RelativePath, TreeError};

/// Any cause, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failed operation on object storage or on what is kept in it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The object does not exist.
    #[error("object {key} does not exist")]
    NotFound {
        /// Its full key.
        key: String,
    },
    /// The bucket does not exist.
    #[error("bucket {bucket} does not exist: check DRYDOCK_S3_BUCKET and DRYDOCK_S3_ENDPOINT")]
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The server refused the credentials.
    #[error(
        "object storage refused to {operation}: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights on \
         the bucket"
    )]
    Unauthorized {
        /// What was tried.
        operation: &'static str,
        /// The server's answer.
        #[source]
        source: BoxError,
    },
    /// The server cannot be reached, is overloaded or broke the connection, after all retries.
    #[error("object storage is unavailable, could not {operation}: check DRYDOCK_S3_ENDPOINT")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The server did not answer in time, after all retries.
    #[error("object storage did not {operation} in time: check DRYDOCK_S3_ENDPOINT")]
    Timeout {
        /// What was tried.
        operation: &'static str,
    },
    /// The server refused the request for another reason.
    #[error(
        "object storage refused to {operation}: check DRYDOCK_S3_ENDPOINT, DRYDOCK_S3_BUCKET and DRYDOCK_S3_REGION"
    )]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The server's answer.
        #[source]
        source: BoxError,
    },
    /// Stored bytes are not what their id, checksum or format says.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// The object or part of it.
        what: String,
        /// What does not hold.
        reason: &'static str,
    },
    /// Written by a newer version of this program.
    #[error("{what} has format version {version}, which this program does not know: update it")]
    Version {
        /// The object.
        what: String,
        /// The version found.
        version: u32,
    },
    /// More than a limit allows.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, in the unit `what` implies.
        limit: u64,
    },
    /// The entries are not a tree.
    #[error("not a valid tree")]
    InvalidTree(#[source] TreeError),
    /// An entry of an archive is not acceptable.
    #[error("archive entry {entry:?}: {reason}")]
    ArchiveEntry {
        /// Its name, escaped.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The archive cannot be read as one.
    #[error("not a readable tar archive (plain, gzip or zstd)")]
    Archive(#[source] std::io::Error),
    /// A file kept changing while it was read.
    #[error("{path} kept changing while it was read")]
    Unstable {
        /// The file.
        path: RelativePath,
    },
    /// No file there, or not a regular one.
    #[error("{path} is not a file of this version")]
    NotAFile {
        /// The path asked for.
        path: RelativePath,
    },
    /// A file of the workspace could not be read.
    #[error("{path} could not be read")]
    Read {
        /// The file.
        path: RelativePath,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A local file of our own could not be read or written.
    #[error("{}: local file operation failed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The caller's hook refused.
    #[error("an object could not be registered before its upload")]
    Register(#[source] BoxError),
    /// Work on a blocking thread ended without a result: it panicked or the process is shutting down.
    #[error("storage work was interrupted")]
    Interrupted,
}

/// What a caller decides by; stable names for metrics and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// Something that should exist does not.
    NotFound,
    /// Credentials or rights.
    Unauthorized,
    /// Worth trying again later.
    Unavailable,
    /// Stored data is damaged or unreadable; trying again does not help.
    Corrupt,
    /// The user's data is over a limit.
    TooLarge,
    /// The user's data is not acceptable.
    InvalidInput,
    /// The workspace kept changing.
    Unstable,
    /// This machine's disk.
    Io,
    /// A setting or a mistake of ours.
    Internal,
}

impl StorageError {
    /// The kind of failure.
    pub fn kind(&self) -> StorageErrorKind {
        use StorageErrorKind as Kind;
        match self {
            Self::NotFound { .. } | Self::NotAFile { .. } => Kind::NotFound,
            Self::Unauthorized { .. } => Kind::Unauthorized,
            Self::Unavailable { .. } | Self::Timeout { .. } => Kind::Unavailable,
            Self::Corrupt { .. } | Self::Version { .. } => Kind::Corrupt,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::InvalidTree(_) | Self::ArchiveEntry { .. } | Self::Archive(_) => Kind::InvalidInput,
            Self::Unstable { .. } => Kind::Unstable,
            Self::Io { .. } | Self::Read { .. } => Kind::Io,
            Self::NoBucket { .. } | Self::Refused { .. } | Self::Register(_) | Self::Interrupted => Kind::Internal,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: &'static str) -> Self {
        Self::Corrupt { what: what.into(), reason }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
    }
}

impl StorageErrorKind {
    /// The label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::InvalidInput => "invalid_input",
            Self::Unstable => "unstable",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}
