//! What the entries of an archive become: a whole tree, or changes to one.

use drydock_domain::{LinkTarget, Mode, RelativePath};

use crate::{ChangeWriter, Source, StorageError, TreeWriter};

/// Takes entries one after the other.
pub(super) trait Sink {
    /// A file with the content of `source`.
    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError>;
    /// A symlink.
    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError>;
    /// A directory; without a mode where the archive only implies it.
    fn dir(&mut self, path: RelativePath, mode: Option<Mode>) -> Result<(), StorageError>;
    /// What the entry with the number `of` became, at one more path.
    fn copy(&mut self, path: RelativePath, of: usize) -> Result<(), StorageError>;
    /// Nothing is to be at `path`; false where an archive of this kind cannot say that.
    fn remove(&mut self, path: RelativePath) -> bool;
    /// The number that the next entry gets.
    fn next(&self) -> usize;
}

/// Mode of a directory that the archive implies but does not hold.
const IMPLIED_DIR: Mode = Mode::new(0o755);

impl Sink for TreeWriter {
    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        self.add_file(path, mode, source)
    }

    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.add_symlink(path, target)
    }

    fn dir(&mut self, path: RelativePath, mode: Option<Mode>) -> Result<(), StorageError> {
        self.add_dir(path, mode.unwrap_or(IMPLIED_DIR))
    }

    fn copy(&mut self, path: RelativePath, of: usize) -> Result<(), StorageError> {
        self.add_copy(path, of)
    }

    fn remove(&mut self, _: RelativePath) -> bool {
        false
    }

    fn next(&self) -> usize {
        self.len()
    }
}

impl Sink for ChangeWriter {
    fn file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        self.put_file(path, mode, source)
    }

    fn symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.put_symlink(path, target)
    }

    fn dir(&mut self, path: RelativePath, mode: Option<Mode>) -> Result<(), StorageError> {
        match mode {
            Some(mode) => self.put_dir(path, mode),
            None => self.imply_dir(path, IMPLIED_DIR),
        }
    }

    fn copy(&mut self, path: RelativePath, of: usize) -> Result<(), StorageError> {
        self.put_copy(path, of)
    }

    fn remove(&mut self, path: RelativePath) -> bool {
        Self::remove(self, path);
        true
    }

    fn next(&self) -> usize {
        self.len()
    }
}
