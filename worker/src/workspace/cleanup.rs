//! Removing a directory tree that an agent may have made as hard to remove as it likes.
//!
//! By handle, so that a directory swapped for a symlink is not followed; without recursion and with two handles open at
//! most, so that depth costs nothing; modes are changed on directories only, never on files (a hard link elsewhere
//! would change with them); other file systems are not entered. One entry that resists does not stop the rest: what is
//! left is counted and reported.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, unlinkat},
    io::{Errno, Result},
};

use super::directory::{entries, open_child, stat};
use crate::kill_point::{KillPoint, pass};

/// Passes over a tree in which something keeps appearing.
const PASSES: usize = 3;

/// What could not be removed.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Entries left behind.
    pub count: u64,
    /// The first of them, and why.
    pub first: Option<(String, io::Error)>,
}

impl Leftovers {
    fn add(&mut self, name: &[u8], errno: Errno) {
        self.count += 1;
        self.first.get_or_insert_with(|| (String::from_utf8_lossy(name).into_owned(), errno.into()));
    }
}

/// Removes `name` in `parent` and all below it. Blocking.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> Leftovers {
    let mut leftovers = Leftovers::default();
    for _ in 0..PASSES {
        leftovers = Leftovers::default();
        match remove(parent, name, &mut leftovers) {
            Ok(()) | Err(Errno::NOENT) if leftovers.count == 0 => break,
            Ok(()) => {}
            Err(errno) => leftovers.add(name, errno),
        }
    }
    leftovers
}

/// A directory being emptied.
struct Level {
    name: CString,
    identity: Identity,
    subdirectories: Vec<CString>,
}

type Identity = (u64, u64);

fn remove(parent: BorrowedFd<'_>, name: &[u8], leftovers: &mut Leftovers) -> Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // Most directories of an attempt are empty, and gone with one call.
    match unlinkat(parent, &name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTDIR) => return unlinkat(parent, &name, AtFlags::empty()),
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(_) => {}
    }
    let (mut current, _) = open_child(parent, name.to_bytes())?;
    let device = identity(&current)?.0;
    let mut levels = vec![empty(&current, name, leftovers)?];
    while let Some(level) = levels.last_mut() {
        if let Some(child) = level.subdirectories.pop() {
            let entered = open_child(current.as_fd(), child.to_bytes()).and_then(|(directory, _)| {
                if identity(&directory)?.0 != device {
                    return Err(Errno::XDEV);
                }
                Ok((empty(&directory, child.clone(), leftovers)?, directory))
            });
            match entered {
                Ok((level, directory)) => {
                    levels.push(level);
                    current = directory;
                }
                Err(errno) => leftovers.add(child.to_bytes(), errno),
            }
            continue;
        }
        let Level { name, .. } = levels.pop().expect("just looked at");
        let Some(above) = levels.last() else {
            return unlinkat(parent, &name, AtFlags::REMOVEDIR);
        };
        let up = openat(&current, "..", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if identity(&up)? != above.identity {
            // Moved elsewhere while we were in it: what is above now is not ours to touch.
            return Err(Errno::STALE);
        }
        current = up;
        pass(KillPoint::Cleaning);
        if let Err(errno) = unlinkat(&current, &name, AtFlags::REMOVEDIR) {
            leftovers.add(name.to_bytes(), errno);
        }
    }
    Ok(())
}

/// Removes all of a directory but its subdirectories, which it returns.
fn empty(directory: &OwnedFd, name: CString, leftovers: &mut Leftovers) -> Result<Level> {
    let mut subdirectories = Vec::new();
    for entry in entries(directory)? {
        let (entry, kind) = entry?;
        match is_directory(directory.as_fd(), &entry, kind) {
            Ok(true) => subdirectories.push(entry),
            Ok(false) => match unlinkat(directory, &entry, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => leftovers.add(entry.to_bytes(), errno),
            },
            Err(Errno::NOENT) => {}
            Err(errno) => leftovers.add(entry.to_bytes(), errno),
        }
    }
    Ok(Level { name, identity: identity(directory)?, subdirectories })
}

/// Some file systems do not tell the kind with the name.
fn is_directory(parent: BorrowedFd<'_>, name: &CString, kind: FileType) -> Result<bool> {
    let kind = if kind == FileType::Unknown { FileType::from_raw_mode(stat(parent, name)?.st_mode) } else { kind };
    Ok(kind == FileType::Directory)
}

fn identity(directory: &OwnedFd) -> Result<Identity> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}
