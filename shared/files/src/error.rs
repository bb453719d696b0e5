//! `FileError`: why there is no file at a path that somebody else chose.

use std::io;

use rustix::io::Errno;

use crate::Kind;

/// Why there is no file. It names no path: whoever asked knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It leads out of its directory, or to another file system.
    #[error("it leads outside")]
    Outside,
    /// Nothing is there.
    #[error("it does not exist")]
    NotFound,
    /// A symbolic link is on the way where none may be, or more of them than the kernel follows.
    #[error("a symbolic link is on the way")]
    Link,
    /// Something else than a regular file is there.
    #[error("it is a {0}, not a regular file")]
    UnsupportedType(Kind),
    /// The path or a name in it is longer than the kernel takes.
    #[error("its path is too long")]
    TooLong,
    /// Its modes forbid it.
    #[error("it may not be read")]
    Forbidden,
    /// It was moved about while it was looked for, again and again.
    #[error("it is being moved: try again")]
    Moving,
    /// Links cannot be followed safely: the kernel has no `openat2`, or a sandbox forbids it.
    #[error("links cannot be followed here: it takes a kernel with openat2 (5.6), and a sandbox that allows it")]
    NoSafeLinks,
    /// Anything else that the kernel says.
    #[error("{0}")]
    Other(#[source] Errno),
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::XDEV => Self::Outside,
            Errno::NOENT | Errno::NOTDIR => Self::NotFound,
            Errno::LOOP => Self::Link,
            // What opening a socket comes to, and a device without a driver.
            Errno::NXIO | Errno::NODEV => Self::UnsupportedType(Kind::Special),
            Errno::NAMETOOLONG => Self::TooLong,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::AGAIN => Self::Moving,
            other => Self::Other(other),
        }
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match error {
            FileError::Other(errno) => return errno.into(),
            FileError::NotFound => io::ErrorKind::NotFound,
            FileError::Forbidden | FileError::Outside => io::ErrorKind::PermissionDenied,
            FileError::TooLong => io::ErrorKind::InvalidFilename,
            FileError::Moving => io::ErrorKind::ResourceBusy,
            FileError::NoSafeLinks => io::ErrorKind::Unsupported,
            FileError::Link | FileError::UnsupportedType(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}
