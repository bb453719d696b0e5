//! `Kind`: what something in a directory is.

use std::fmt;

use rustix::fs::{FileType, Stat};

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link itself.
    Symlink,
    /// A named pipe.
    Pipe,
    /// A socket, a device.
    Special,
}

impl Kind {
    /// What a look at it told.
    pub fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Pipe,
            _ => Self::Special,
        }
    }

    /// In a word, as users know it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "folder",
            Self::Symlink => "symbolic link",
            Self::Pipe => "named pipe",
            Self::Special => "special file",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word().fmt(f)
    }
}
