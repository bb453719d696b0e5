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
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use drydock_files::open_directory;
use rustix::{
    fs::{IFlags, Mode, ioctl_getflags, ioctl_setflags, mkdirat},
    io::Errno,
};

use super::remove_tree;

const SHELVES: u8 = 32;

/// One of them.
#[derive(Debug)]
pub(super) struct Shelf {
    number: u8,
    path: PathBuf,
    directory: OwnedFd,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shelves {
    shelves: Vec<Mutex<Arc<Shelf>>>,
    next: AtomicUsize,
}

impl Shelves {
    /// Makes those that are not there. Blocking.
    pub(super) fn open(root: &Path, directory: &OwnedFd) -> io::Result<Self> {
        // A hint that only ext file systems take.
        let _not_ext = ioctl_getflags(directory).and_then(|flags| ioctl_setflags(directory, flags | IFlags::TOPDIR));
        let shelves = (0..SHELVES).map(|number| Shelf::open(root, directory, number).map(Mutex::new));
        Ok(Self { shelves: shelves.collect::<io::Result<_>>()?, next: AtomicUsize::new(0) })
    }

    /// Makes one anew that somebody removed.
    pub(super) fn restore(&self, lost: &Shelf, root: &Path, directory: &OwnedFd) -> io::Result<Arc<Shelf>> {
        let restored = Shelf::open(root, directory, lost.number)?;
        *locked(&self.shelves[usize::from(lost.number)]) = restored.clone();
        Ok(restored)
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> Arc<Shelf> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.shelves[turn % self.shelves.len()]).clone()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Shelf>> {
        self.shelves.iter().map(|shelf| locked(shelf).clone())
    }

    /// Whether an entry of the scratch directory is a shelf.
    pub(super) fn is_one(name: &[u8]) -> bool {
        (0..SHELVES).any(|number| shelf(number).as_bytes() == name)
    }
}

impl Shelf {
    fn open(root: &Path, directory: &OwnedFd, number: u8) -> io::Result<Arc<Self>> {
        let name = shelf(number);
        let path = root.join(&name);
        let opened = make(directory, &name).and_then(|()| open_directory(&path)).or_else(|errno| {
            let is_in_the_way = matches!(errno, Errno::NOTDIR | Errno::LOOP);
            if !is_in_the_way || remove_tree(directory.as_fd(), name.as_bytes()).first.is_some() {
                return Err(errno);
            }
            make(directory, &name).and_then(|()| open_directory(&path))
        });
        Ok(Arc::new(Self { number, directory: opened?, path }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn make(root: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    match mkdirat(root, name, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn locked(shelf: &Mutex<Arc<Shelf>>) -> MutexGuard<'_, Arc<Shelf>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shelf(number: u8) -> String {
    format!("shelf-{number:02}")
}
