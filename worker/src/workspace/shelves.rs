//! Shelves: the sub-directories of the scratch directory that attempts' directories are made in, in turn.
//!
//! Attempts make and remove inodes all day, in one directory if there is but one. ext4 keeps a directory's files together in
//! one block group, and without a journal it does not take an inode again for minutes after it was freed: each new one then
//! looks at all that were freed lately (`recently_deleted` in `fs/ext4/ialloc.c`). Shelves are marked as unrelated (`chattr +T`
//! on their parent), so that ext4 puts them in block groups of their own and each look is short. Elsewhere they cost nothing.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::{
    fs::{IFlags, Mode, ioctl_getflags, ioctl_setflags, mkdirat},
    io::Errno,
};

use super::directory::open_top;

const SHELVES: u8 = 32;

/// One of them.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    directory: OwnedFd,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shelves {
    shelves: Vec<Arc<Shelf>>,
    next: AtomicUsize,
}

impl Shelves {
    /// Makes those that are not there. Blocking.
    pub(super) fn open(root: &Path, directory: &OwnedFd) -> io::Result<Self> {
        // A hint that only ext file systems take.
        let _not_ext = ioctl_getflags(directory).and_then(|flags| ioctl_setflags(directory, flags | IFlags::TOPDIR));
        let shelves = (0..SHELVES).map(|number| Shelf::open(root, directory, number)).collect::<io::Result<_>>()?;
        Ok(Self { shelves, next: AtomicUsize::new(0) })
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> Arc<Shelf> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.shelves[turn % self.shelves.len()].clone()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Shelf> {
        self.shelves.iter().map(Arc::as_ref)
    }

    /// Whether an entry of the scratch directory is a shelf.
    pub(super) fn is_one(name: &[u8]) -> bool {
        (0..SHELVES).any(|number| shelf(number).as_bytes() == name)
    }
}

impl Shelf {
    fn open(root: &Path, directory: &OwnedFd, number: u8) -> io::Result<Arc<Self>> {
        let name = shelf(number);
        match mkdirat(directory, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let path = root.join(name);
        Ok(Arc::new(Self { directory: open_top(&path)?, path }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn shelf(number: u8) -> String {
    format!("shelf-{number:02}")
}
