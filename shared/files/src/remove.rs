//! Removing a directory tree that an agent may have made as hard to remove as it likes.
//!
//! By handle, so that a directory swapped for a symlink is not followed; without recursion and with two handles open at
//! most, so that depth costs nothing; modes are changed on directories only, never on files (a hard link elsewhere
//! would change with them); other mounts are not entered; of a directory with any number of others some are known at a time.
//! One entry that resists does not stop the rest: what is left is counted and reported.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, openat, unlinkat},
    io::{Errno, Result},
};

use crate::{
    directory::{entries, open_child, stat},
    resolve::Mount,
};

/// Passes over a tree in which something keeps appearing.
const PASSES: usize = 3;
/// Subdirectories of one directory that are known at a time.
const SOME: usize = 128;

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
    remove_tree_noting(parent, name, &mut || ())
}

/// As [`remove_tree`], calling `emptied` whenever a directory below has nothing in it any more.
pub fn remove_tree_noting(parent: BorrowedFd<'_>, name: &[u8], emptied: &mut dyn FnMut()) -> Leftovers {
    let mut leftovers = Leftovers::default();
    for _ in 0..PASSES {
        leftovers = Leftovers::default();
        match remove(parent, name, &mut leftovers, emptied) {
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
    /// Some of its subdirectories.
    subdirectories: Vec<CString>,
    /// Whether it has others.
    has_more: bool,
    /// What was left behind before it was listed.
    left_before: u64,
}

type Identity = (Mount, u64);

fn remove(parent: BorrowedFd<'_>, name: &[u8], leftovers: &mut Leftovers, emptied: &mut dyn FnMut()) -> Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // Most directories of an attempt are empty, and gone with one call.
    match unlinkat(parent, &name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTDIR) => return unlinkat(parent, &name, AtFlags::empty()),
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(_) => {}
    }
    let (mut current, _) = open_child(parent, name.to_bytes())?;
    let mount = identity(&current)?.0;
    let mut levels = vec![empty(&current, name, SOME, leftovers)?];
    while let Some(level) = levels.last_mut() {
        if let Some(child) = level.subdirectories.pop() {
            match enter(&current, &child, mount, leftovers) {
                Ok((level, directory)) => {
                    levels.push(level);
                    current = directory;
                }
                Err(errno) => leftovers.add(child.to_bytes(), errno),
            }
            continue;
        }
        if level.has_more {
            // Those that resist are listed, and counted, once more.
            let resisting = leftovers.count - level.left_before;
            leftovers.count = level.left_before;
            let most = SOME + usize::try_from(resisting).unwrap_or(usize::MAX - SOME);
            *level = empty(&current, std::mem::take(&mut level.name), most, leftovers)?;
            continue;
        }
        let Level { name, .. } = levels.pop().expect("just looked at");
        let Some(above) = levels.last() else {
            return unlinkat(parent, &name, AtFlags::REMOVEDIR);
        };
        current = up(&current, above)?;
        emptied();
        if let Err(errno) = unlinkat(&current, &name, AtFlags::REMOVEDIR) {
            leftovers.add(name.to_bytes(), errno);
        }
    }
    Ok(())
}

fn enter(parent: &OwnedFd, name: &CString, mount: Mount, leftovers: &mut Leftovers) -> Result<(Level, OwnedFd)> {
    let (directory, _) = open_child(parent.as_fd(), name.to_bytes())?;
    if identity(&directory)?.0 != mount {
        return Err(Errno::XDEV);
    }
    Ok((empty(&directory, name.clone(), SOME, leftovers)?, directory))
}

fn up(directory: &OwnedFd, above: &Level) -> Result<OwnedFd> {
    let up = openat(directory, "..", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // Moved elsewhere while we were in it: what is above now is not ours to touch.
    if identity(&up)? == above.identity { Ok(up) } else { Err(Errno::STALE) }
}

/// Removes what of a directory is listed before `most` subdirectories, which it returns.
fn empty(directory: &OwnedFd, name: CString, most: usize, leftovers: &mut Leftovers) -> Result<Level> {
    let left_before = leftovers.count;
    let mut subdirectories = Vec::new();
    let mut has_more = false;
    for entry in entries(directory)? {
        let (entry, kind) = entry?;
        match is_directory(directory.as_fd(), &entry, kind) {
            Ok(true) if subdirectories.len() == most => {
                has_more = true;
                break;
            }
            Ok(true) => subdirectories.push(entry),
            Ok(false) => match unlinkat(directory, &entry, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => leftovers.add(entry.to_bytes(), errno),
            },
            Err(Errno::NOENT) => {}
            Err(errno) => leftovers.add(entry.to_bytes(), errno),
        }
    }
    Ok(Level { name, identity: identity(directory)?, subdirectories, has_more, left_before })
}

/// Some file systems do not tell the kind with the name.
fn is_directory(parent: BorrowedFd<'_>, name: &CString, kind: FileType) -> Result<bool> {
    let kind = if kind == FileType::Unknown { FileType::from_raw_mode(stat(parent, name)?.st_mode) } else { kind };
    Ok(kind == FileType::Directory)
}

fn identity(directory: &OwnedFd) -> Result<Identity> {
    Mount::and_number(directory.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::open_directory;

    #[test]
    fn of_many_subdirectories_some_are_known_at_a_time_and_all_are_removed() {
        let top = tempfile::tempdir().unwrap();
        for number in 0..SOME * 4 + 1 {
            fs_err::create_dir_all(top.path().join(format!("tree/{number}/sub"))).unwrap();
            fs_err::write(top.path().join(format!("tree/file-{number}")), "").unwrap();
        }
        let tree = open_directory(&top.path().join("tree")).unwrap();
        let mut leftovers = Leftovers::default();
        let level = empty(&tree, c"tree".to_owned(), SOME, &mut leftovers).unwrap();
        assert_eq!((level.subdirectories.len(), level.has_more, leftovers.count), (SOME, true, 0));
        let mut emptied = 0;
        let leftovers = remove_tree_noting(open_directory(top.path()).unwrap().as_fd(), b"tree", &mut || emptied += 1);
        assert_eq!(leftovers.count, 0, "{leftovers:?}");
        assert!(!top.path().join("tree").exists());
        assert_eq!(emptied, (SOME * 4 + 1) * 2);
    }
}
