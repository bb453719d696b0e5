//! Pushing: what an agent left in a workspace becomes the next version.
//!
//! Owns the decision which files are read. Those the baseline proves untouched are taken over from the base version;
//! all others are read once and hashed, and one that turns out equal costs nothing more. Where all are untouched, nothing
//! is read or written at all. Nothing may still write to the
//! workspace; a file that changes all the same is read again, and fails the push if it will not rest.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use drydock_domain::{Changes, Mode, RelativePath, TenantId, Tree};
use drydock_storage::{
    Limits, Manifest, PackRegistry, Source, Storage, StorageError, TreeWriter, WriteOptions, Written, write_tree,
};
use rustix::fs::{AtFlags, FileType, fstat, statat};

use super::{
    Baseline, WorkspaceError,
    baseline::FileStat,
    directory::{Directories, open_file},
    materialize::blocking,
    snapshot::{Dropped, Found, FoundKind, Snapshot},
    untouched,
};

/// What a push needs to know besides the workspace.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Whose version.
    pub tenant: TenantId,
    /// The version the workspace was materialized from.
    pub base: Option<Arc<Manifest>>,
    /// Bounds of the new version.
    pub limits: Limits,
    /// Where packs are built; made when the first one is.
    pub packs_dir: PathBuf,
}

/// What came of a push.
#[derive(Debug)]
pub struct Pushed {
    /// The stored tree; `None` when it is the base's, and nothing was stored.
    pub written: Option<Written>,
    /// Files that differ from the base. May be empty although `written` is not: directories differ then.
    pub changes: Changes,
    /// Entries that cannot be part of a version.
    pub dropped: Dropped,
}

/// Stores the tree at `workspace`.
pub async fn push<R: PackRegistry>(
    storage: &Storage,
    options: PushOptions,
    baseline: Arc<Baseline>,
    workspace: &Path,
    registry: &R,
) -> Result<Pushed, WorkspaceError> {
    let PushOptions { tenant, base, limits, packs_dir } = options;
    let looking =
        Looking { workspace: workspace.to_owned(), base: base.clone(), baseline, packs_dir: packs_dir.clone() };
    let reading = match blocking(move || looking.look(limits.entries)).await? {
        Looked::Changed(reading) => reading,
        Looked::Same(dropped) => return Ok(Pushed { written: None, changes: Changes::default(), dropped }),
    };
    let dropped = reading.snapshot.dropped;
    let write = WriteOptions { tenant, base: base.clone(), limits, temp_dir: packs_dir };
    let written = write_tree(storage, write, registry, move |writer| reading.write(writer)).await?;
    let empty = Tree::default();
    let before = base.as_ref().map_or(&empty, |base| base.tree());
    let changes = written.as_ref().map(|written| Changes::between(before, written.manifest.tree()));
    Ok(Pushed { written, changes: changes.unwrap_or_default(), dropped })
}

/// What the first look at a workspace needs.
struct Looking {
    workspace: PathBuf,
    base: Option<Arc<Manifest>>,
    baseline: Arc<Baseline>,
    packs_dir: PathBuf,
}

/// What it tells.
enum Looked {
    /// Nothing was touched: no file needs to be read, nothing to be stored.
    Same(Dropped),
    /// Something may have changed.
    Changed(Reading),
}

impl Looking {
    fn look(self, limit: u64) -> Result<Looked, WorkspaceError> {
        let Self { workspace, base, baseline, packs_dir } = self;
        let mut snapshot = Snapshot::take(&workspace, limit)?;
        if untouched::is_base(&snapshot.found, base.as_deref(), &baseline) {
            snapshot.close_directories();
            return Ok(Looked::Same(snapshot.dropped));
        }
        match DirBuilder::new().mode(0o700).create(&packs_dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(WorkspaceError::Io { operation: "create", path: packs_dir.display().to_string(), source: error })
            }
            _ => Ok(Looked::Changed(Reading { snapshot, base, baseline })),
        }
    }
}

struct Reading {
    snapshot: Snapshot,
    base: Option<Arc<Manifest>>,
    baseline: Arc<Baseline>,
}

impl Reading {
    fn write(mut self, writer: &mut TreeWriter) -> Result<(), StorageError> {
        let found = std::mem::take(&mut self.snapshot.found);
        let result = self.add_all(found, writer);
        self.snapshot.close_directories();
        result
    }

    fn add_all(&self, found: Vec<Found>, writer: &mut TreeWriter) -> Result<(), StorageError> {
        let entries = self.base.as_ref().map_or(&[][..], |base| base.tree().entries());
        let mut directories = Directories::below(&self.snapshot.top);
        // Both lists are sorted, so the base is walked along.
        let mut at = 0;
        for Found { path, kind } in found {
            match kind {
                FoundKind::Dir(mode) => writer.add_dir(path, mode)?,
                FoundKind::Symlink(target) => writer.add_symlink(path, target)?,
                FoundKind::File(stat) => {
                    while entries.get(at).is_some_and(|entry| entry.path < path) {
                        at += 1;
                    }
                    let same_path = entries.get(at).is_some_and(|entry| entry.path == path);
                    if same_path && self.baseline.is_unchanged(at, &stat) {
                        writer.reuse(at)?;
                    } else {
                        let mut file = WorkspaceFile { directories: &mut directories, path: &path, open: None };
                        writer.add_file(path.clone(), Mode::new(stat.mode), &mut file)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A file an agent may have left in any state.
struct WorkspaceFile<'a, 't> {
    directories: &'a mut Directories<'t>,
    path: &'a RelativePath,
    open: Option<(File, FileStat)>,
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
