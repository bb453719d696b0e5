//! `WorkspaceFile`: a file an agent may have left in any state, read through handles only.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd as _, OwnedFd},
};

use drydock_domain::RelativePath;
use drydock_storage::Source;
use rustix::fs::{AtFlags, FileType, fstat, statat};

use crate::workspace::{
    detect::FileStat,
    directory::{Directories, open_file},
};

/// A file an agent may have left in any state.
pub(super) struct WorkspaceFile<'a, 't> {
    directories: &'a mut Directories<'t>,
    path: &'a RelativePath,
    open: Option<(File, FileStat)>,
}

impl<'a, 't> WorkspaceFile<'a, 't> {
    pub(super) const fn new(directories: &'a mut Directories<'t>, path: &'a RelativePath) -> Self {
        Self { directories, path, open: None }
    }
}

impl Source for WorkspaceFile<'_, '_> {
    fn open(&mut self) -> io::Result<impl Read> {
        let parent = self.directories.parent_of(self.path)?;
        let file: OwnedFd = open_file(parent, self.path.file_name())?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no regular file any more"));
        }
        let (file, _) = self.open.insert((File::from(file), FileStat::from(&stat)));
        // Not more than it had when looked at: a file that grows meanwhile is noticed afterwards.
        Ok((&*file).take(u64::try_from(stat.st_size).unwrap_or_default()))
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        let Some((file, before)) = &self.open else {
            return Ok(false);
        };
        let now = fstat(file.as_fd())?;
        let parent = self.directories.parent_of(self.path)?;
        let there = match statat(parent, self.path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        Ok(FileStat::from(&now) == *before && FileStat::from(&there) == *before)
    }
}
