//! `Root`: a directory that is ours, in which somebody else makes what they like, now and while we look.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use drydock_domain::RelativePath;
use rustix::fs::{Mode, OFlags, fstat, openat};

use crate::{
    FileError, Kind, OpenFile,
    directory::open_directory,
    resolve::{self, Way},
};

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// None.
    None,
    /// Those that lead to what is inside.
    Inside,
}

/// What is at a path.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, open for reading.
    File(OpenFile),
    /// A directory, open to be listed.
    Directory(OwnedFd),
    /// A symbolic link itself, where none is followed.
    Symlink,
    /// What is never opened: a pipe, a socket, a device.
    Special(Kind),
}

impl Opened {
    /// The file, where it is one.
    pub fn into_file(self) -> Result<OpenFile, FileError> {
        match self {
            Self::File(file) => Ok(file),
            Self::Directory(_) => Err(FileError::UnsupportedType(Kind::Directory)),
            Self::Symlink => Err(FileError::UnsupportedType(Kind::Symlink)),
            Self::Special(kind) => Err(FileError::UnsupportedType(kind)),
        }
    }
}

/// A directory of ours. The only thing here that is opened by a path of the file system.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    way: Way,
}

impl Root {
    /// Opens the directory `trusted`, whose parents only we can change.
    pub fn at(trusted: &Path) -> Result<Self, FileError> {
        Ok(Self { directory: open_directory(trusted)?, way: Way::Openat2 })
    }

    /// As on a kernel without `openat2`.
    #[must_use]
    pub fn without_openat2(self) -> Self {
        Self { way: Way::ByComponent, ..self }
    }

    /// Finds what is at `path` and opens it, if that is a thing to open. Its modes count.
    pub fn open(&self, path: &RelativePath, links: Links) -> Result<Opened, FileError> {
        let handle = resolve::resolve(self.directory.as_fd(), path, links, self.way)?;
        let stat = fstat(&handle)?;
        Ok(match Kind::of(&stat) {
            Kind::File => Opened::File(OpenFile::reopened(&handle, stat)?),
            Kind::Directory => Opened::Directory(listed(&handle)?),
            Kind::Symlink => Opened::Symlink,
            kind => Opened::Special(kind),
        })
    }

    /// The directory itself, open to be listed.
    pub fn top(&self) -> Result<OwnedFd, FileError> {
        listed(&self.directory)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn listed(directory: &OwnedFd) -> Result<OwnedFd, FileError> {
    Ok(openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
