//! `WorkspaceFile`: a file an agent may have left in any state, read through handles only.

use std::io::{self, Read};

use drydock_domain::RelativePath;
use drydock_files::{Directories, OpenFile, open_file};
use drydock_storage::Source;
use rustix::fs::{AtFlags, statat};

use crate::workspace::detect::FileStat;

/// A file an agent may have left in any state.
pub(super) struct WorkspaceFile<'a, 't> {
    directories: &'a mut Directories<'t>,
    path: &'a RelativePath,
    open: Option<OpenFile>,
}

impl<'a, 't> WorkspaceFile<'a, 't> {
    pub(super) const fn new(directories: &'a mut Directories<'t>, path: &'a RelativePath) -> Self {
        Self { directories, path, open: None }
    }
}

impl Source for WorkspaceFile<'_, '_> {
    fn open(&mut self) -> io::Result<impl Read> {
        let parent = self.directories.parent_of(self.path)?;
        // Not more than it had when looked at: a file that grows meanwhile is noticed afterwards.
        Ok(self.open.insert(open_file(parent, self.path.file_name())?).reader())
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        let Some(file) = &self.open else {
            return Ok(false);
        };
        let (before, now) = (FileStat::from(file.stat()), file.stat_now()?);
        let parent = self.directories.parent_of(self.path)?;
        let there = match statat(parent, self.path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        Ok(FileStat::from(&now) == before && FileStat::from(&there) == before)
    }
}
