//! `OpenFile`: a regular file, open, with the length that it had then.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags, Stat, chmod, fstat, open, openat},
    io::Errno,
};

use crate::{FileError, Kind, directory::by_handle};

/// Nobody is waited for, and no terminal becomes ours: a pipe or a device may have been put in a file's place.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A regular file that is open for reading, and what it was when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    stat: Stat,
}

impl OpenFile {
    /// Of a handle that reads.
    fn new(handle: OwnedFd) -> Result<Self, FileError> {
        let stat = fstat(&handle)?;
        match Kind::of(&stat) {
            Kind::File => Ok(Self { file: handle.into(), stat }),
            other => Err(FileError::UnsupportedType(other)),
        }
    }

    /// Of a handle that was opened as a path only and is known to be a regular file's.
    pub(crate) fn reopened(handle: &OwnedFd, stat: Stat) -> Result<Self, FileError> {
        Ok(Self { file: open(by_handle(handle), READ, Mode::empty())?.into(), stat })
    }

    /// Its length when it was opened.
    pub fn length(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or_default()
    }

    /// What it was when it was opened.
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// What it is now.
    pub fn stat_now(&self) -> io::Result<Stat> {
        Ok(fstat(&self.file)?)
    }

    /// What it holds, and not a byte beyond the length that it had.
    pub fn reader(&self) -> impl Read {
        (&self.file).take(self.length())
    }

    /// At most `limit` bytes from its start.
    pub fn head(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// For those who keep to [`Self::length`] by themselves.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Opens the regular file `name` in `parent`, whatever its mode; the mode is left as it was. For trees in which nobody is alive: what
/// it is, is told once it is open, which saves two calls a file.
pub fn open_file(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OpenFile, FileError> {
    match openat(parent, name, READ | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(file) => OpenFile::new(file),
        Err(Errno::ACCESS) => open_closed(parent, name),
        Err(Errno::LOOP) => Err(FileError::UnsupportedType(Kind::Symlink)),
        Err(errno) => Err(errno.into()),
    }
}

/// A file that is closed to its owner is opened for the moment that it takes.
fn open_closed(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OpenFile, FileError> {
    let handle = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&handle)?;
    match Kind::of(&stat) {
        Kind::File => {}
        other => return Err(FileError::UnsupportedType(other)),
    }
    let before = Mode::from_raw_mode(stat.st_mode & 0o7777);
    chmod(by_handle(&handle), before | Mode::RUSR)?;
    let file = openat(CWD, by_handle(&handle), READ, Mode::empty());
    chmod(by_handle(&handle), before)?;
    OpenFile::new(file?)
}
