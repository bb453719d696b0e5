//! Reads what was found in a workspace into whichever form of version is written.

use std::os::fd::OwnedFd;

use drydock_domain::{LinkTarget, Mode, RelativePath};
use drydock_files::Directories;
use drydock_storage::{ChangeWriter, Source, StorageError, TreeWriter};

use super::source::WorkspaceFile;
use crate::workspace::detect::{Changed, Found, FoundKind};

/// A workspace and what may differ in it.
pub(super) struct Reading {
    pub(super) top: OwnedFd,
    pub(super) changed: Changed,
}

impl Reading {
    /// Writes all of it.
    pub(super) fn write(mut self, writer: &mut impl Writer) -> Result<(), StorageError> {
        let removed = std::mem::take(&mut self.changed.removed);
        removed.into_iter().for_each(|path| writer.remove(path));
        let found = std::mem::take(&mut self.changed.found);
        let result = self.add_all(found, writer);
        self.changed.close_directories(&mut Directories::below(&self.top));
        result
    }

    fn add_all(&self, found: Vec<Found>, writer: &mut impl Writer) -> Result<(), StorageError> {
        let mut directories = Directories::below(&self.top);
        for Found { path, kind } in found {
            match kind {
                FoundKind::Dir(mode) => writer.dir(path, mode)?,
                FoundKind::Symlink(target) => writer.symlink(path, target)?,
                FoundKind::File(stat) => {
                    let at = path.clone();
                    let mut file = WorkspaceFile::new(&mut directories, &at);
                    writer.file(path, Mode::new(stat.mode), &mut file)?;
                }
            }
        }
        Ok(())
    }
}

/// What entries are written to.
pub(super) trait Writer {
    fn dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError>;
    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError>;
    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError>;
    fn remove(&mut self, path: RelativePath);
}

impl Writer for ChangeWriter {
    fn dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        self.put_dir(path, mode)
    }

    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.put_symlink(path, target)
    }

    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        self.put_file(path, mode, source)
    }

    fn remove(&mut self, path: RelativePath) {
        Self::remove(self, path);
    }
}

impl Writer for TreeWriter {
    fn dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        self.add_dir(path, mode)
    }

    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.add_symlink(path, target)
    }

    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        self.add_file(path, mode, source)
    }

    fn remove(&mut self, _: RelativePath) {
        unreachable!("an empty version has nothing to remove");
    }
}
