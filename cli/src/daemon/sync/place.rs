//! Writing into the folder: beside its place first, then renamed, so that nobody ever sees half a file. No link is followed.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use drydock_domain::RelativePath;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fchmod, mkdirat, openat, renameat, symlinkat, unlinkat},
    io::Errno,
};

use crate::archive::{DIRECTORY, NEW_FILE, directory};

/// What new directories may be; the process's mask says less.
const NEW_DIRECTORY: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

/// The folder, open.
#[derive(Debug)]
pub(crate) struct Place(OwnedFd);

/// A file that is not in its place yet; gone when dropped before.
#[derive(Debug)]
pub(crate) struct Beside {
    parent: OwnedFd,
    name: String,
    done: bool,
}

impl Place {
    /// Opens the folder.
    ///
    /// # Errors
    /// It is none, or must not be read.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, root, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?))
    }

    fn parent(&self, path: &RelativePath) -> io::Result<OwnedFd> {
        match path.parent() {
            Some(parent) => directory(&self.0, &parent, NEW_DIRECTORY),
            None => self.0.try_clone(),
        }
    }

    /// A file to be written that will be at `path`.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub(crate) fn begin(&self, path: &RelativePath) -> io::Result<(Beside, File)> {
        let beside = self.beside(path)?;
        let file = openat(&beside.parent, &beside.name, NEW_FILE, Mode::RUSR | Mode::WUSR)?;
        Ok((beside, File::from(file)))
    }

    fn beside(&self, path: &RelativePath) -> io::Result<Beside> {
        // Hidden, so that it does not go up.
        let name = format!(".drydock-{}", uuid::Uuid::now_v7().simple());
        Ok(Beside { parent: self.parent(path)?, name, done: false })
    }

    /// Puts a link.
    ///
    /// # Errors
    /// As for [`Beside::put`].
    pub(crate) fn symlink(&self, path: &RelativePath, target: &str) -> io::Result<()> {
        let beside = self.beside(path)?;
        symlinkat(target, &beside.parent, &beside.name)?;
        beside.put(path)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// Something else is there.
    pub(crate) fn make_dir(&self, path: &RelativePath) -> io::Result<()> {
        let parent = self.parent(path)?;
        match mkdirat(&parent, OsStr::from_bytes(path.file_name()), NEW_DIRECTORY) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => directory(&self.0, path, NEW_DIRECTORY).map(drop),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what is at a path; a directory that has something in it stays, and that is told by `false`.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, path: &RelativePath, is_dir: bool) -> io::Result<bool> {
        // Nothing is to be made on the way to what is to be gone.
        let parent = match path.parent() {
            Some(above) => match above
                .components()
                .map(OsStr::from_bytes)
                .try_fold(self.0.try_clone()?, |at, name| openat(&at, name, DIRECTORY, Mode::empty()))
            {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(true),
                opened => opened?,
            },
            None => self.0.try_clone()?,
        };
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlinkat(&parent, OsStr::from_bytes(path.file_name()), flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Beside {
    /// Puts it in its place, over a file or link that is there.
    ///
    /// # Errors
    /// A directory is there, or the disk fails.
    pub(crate) fn put(mut self, path: &RelativePath) -> io::Result<()> {
        renameat(&self.parent, &self.name, &self.parent, OsStr::from_bytes(path.file_name()))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.done {
            // Never made, or the disk fails anyway.
            let _left = unlinkat(&self.parent, &self.name, AtFlags::empty());
        }
    }
}

/// Gives a file the permission bits that a version has for it.
///
/// # Errors
/// The file system has none.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(fchmod(file, Mode::from_raw_mode(mode & 0o777))?)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn path(text: &str) -> RelativePath {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_written_or_removed_through_a_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::write(outside.path().join("victim"), "v").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink(outside.path().join("victim"), dir.path().join("link")).unwrap();
        let place = Place::open(dir.path()).unwrap();
        assert!(place.begin(&path("out/new")).is_err());
        assert!(place.symlink(&path("out/new"), "x").is_err());
        assert!(place.make_dir(&path("out/new")).is_err());
        assert!(place.remove(&path("out/victim"), false).unwrap(), "there is no such path in the folder");
        let (beside, mut file) = place.begin(&path("link")).unwrap();
        file.write_all(b"new").unwrap();
        beside.put(&path("link")).unwrap();
        assert!(fs_err::symlink_metadata(dir.path().join("link")).unwrap().is_file());
        assert_eq!(fs_err::read(outside.path().join("victim")).unwrap(), b"v");
        assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_put_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path()).unwrap();
        drop(place.begin(&path("a/b")).unwrap());
        assert_eq!(fs_err::read_dir(dir.path().join("a")).unwrap().count(), 0);
        fs_err::write(dir.path().join("a/x"), "").unwrap();
        assert!(!place.remove(&path("a"), true).unwrap());
        assert!(place.remove(&path("gone/b"), false).unwrap() && !dir.path().join("gone").exists());
    }
}
