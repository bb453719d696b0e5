//! The directory being filled: creates entries below its handle, and notes how each file looks when it is done.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use drydock_domain::{EntryKind, RelativePath};
use drydock_files::{Directories, OWNER_ALL, open_directory};
use drydock_storage::Manifest;
use rustix::fs::{Mode, OFlags, fchmod, fstat, mkdirat, openat, symlinkat};

use crate::workspace::{WorkspaceError, detect::FileStat};

pub(super) struct Target {
    pub(super) manifest: Arc<Manifest>,
    directory: OwnedFd,
    stats: Mutex<Vec<Option<FileStat>>>,
}

impl Target {
    pub(super) fn open(workspace: &Path, manifest: &Arc<Manifest>) -> Result<Self, WorkspaceError> {
        let directory =
            open_directory(workspace).map_err(WorkspaceError::io("open", workspace.as_os_str().as_encoded_bytes()))?;
        let stats = Mutex::new(vec![None; manifest.tree().entries().len()]);
        Ok(Self { manifest: Arc::clone(manifest), directory, stats })
    }

    pub(super) fn directories(&self) -> Directories<'_> {
        Directories::below(&self.directory)
    }

    /// Makes directories (accessible for now), symlinks and empty files.
    pub(super) fn make_skeleton(&self) -> Result<(), WorkspaceError> {
        let mut directories = self.directories();
        let mut empty = Vec::new();
        for (index, entry) in self.manifest.tree().entries().iter().enumerate() {
            let path = &entry.path;
            match &entry.kind {
                EntryKind::Dir { .. } => directories
                    .parent_of(path)
                    .and_then(|parent| mkdirat(parent, path.file_name(), OWNER_ALL))
                    .map_err(WorkspaceError::io("create directory", path.as_bytes()))?,
                EntryKind::Symlink { target } => directories
                    .parent_of(path)
                    .and_then(|parent| symlinkat(target.as_bytes(), parent, path.file_name()))
                    .map_err(WorkspaceError::io("create symlink", path.as_bytes()))?,
                EntryKind::File { size: 0, .. } => {
                    let file = create(&mut directories, path)?;
                    empty.push(self.finish(index, &file)?);
                }
                EntryKind::File { .. } => {}
            }
        }
        self.note(empty);
        Ok(())
    }

    /// Gives a written file its mode and returns how it looks from now on.
    pub(super) fn finish(&self, index: usize, file: &File) -> Result<(usize, FileStat), WorkspaceError> {
        let entry = &self.manifest.tree().entries()[index];
        let EntryKind::File { mode, .. } = entry.kind else { unreachable!("only files are finished") };
        let stat = fchmod(file, Mode::from_raw_mode(mode.bits())).and_then(|()| fstat(file));
        let stat = stat.map_err(WorkspaceError::io("set the mode of", entry.path.as_bytes()))?;
        Ok((index, FileStat::from(&stat)))
    }

    pub(super) fn note(&self, done: impl IntoIterator<Item = (usize, FileStat)>) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, stat) in done {
            stats[index] = Some(stat);
        }
    }

    pub(super) fn take_stats(&self) -> Vec<Option<FileStat>> {
        std::mem::take(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The deepest first, because a directory may end up closed to us.
    pub(super) fn set_directory_modes(&self) -> Result<(), WorkspaceError> {
        let mut directories = self.directories();
        for entry in self.manifest.tree().entries().iter().rev() {
            let EntryKind::Dir { mode } = entry.kind else {
                continue;
            };
            directories
                .open(entry.path.as_bytes())
                .and_then(|directory| fchmod(directory.as_fd(), Mode::from_raw_mode(mode.bits())))
                .map_err(WorkspaceError::io("set the mode of", entry.path.as_bytes()))?;
        }
        Ok(())
    }
}

/// Creates a file that must not exist, open for writing, for the owner only until it is finished.
pub(super) fn create(directories: &mut Directories<'_>, path: &RelativePath) -> Result<File, WorkspaceError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        directories.parent_of(path).and_then(|parent| openat(parent, path.file_name(), flags, Mode::RUSR | Mode::WUSR));
    file.map(File::from).map_err(WorkspaceError::io("create", path.as_bytes()))
}
