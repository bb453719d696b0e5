//! Pushing: what an agent left in a workspace becomes the next version.
//!
//! Owns the decision which files are read. Those that detection proves untouched are taken over from the base version;
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

use drydock_domain::{Changes, Entry, Mode, RelativePath, TenantId, Tree};
use drydock_storage::{
    Limits, Manifest, PackRegistry, Source, Storage, StorageError, TreeWriter, WriteOptions, Written, write_tree,
};
use rustix::fs::{AtFlags, FileType, fstat, statat};

use super::{
    Materialized, WorkspaceError,
    detect::{self, Changed, Dropped, FileStat, Found, FoundKind},
    directory::{Directories, open_file, open_top},
    materialize::{Detection, blocking},
};

/// What a push needs to know besides the workspace.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Whose version.
    pub tenant: TenantId,
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

/// Stores what became of `workspace`.
pub async fn push<R: PackRegistry>(
    storage: &Storage,
    options: PushOptions,
    materialized: &Arc<Materialized>,
    workspace: &Path,
    registry: &R,
) -> Result<Pushed, WorkspaceError> {
    let PushOptions { tenant, limits, packs_dir } = options;
    // A walk is compared with the base; a layer tells by itself that there is nothing in it.
    let compared = match &materialized.detection {
        Detection::Walk(_) => materialized.manifest().await?,
        Detection::Layer(_) => None,
    };
    let (workspace, looked_at) = (workspace.to_owned(), Arc::clone(materialized));
    let (top, changed) = blocking(move || looked_at.look(&workspace, compared.as_deref(), limits.entries)).await?;
    let dropped = changed.dropped;
    if changed.is_empty() {
        return Ok(Pushed { written: None, changes: Changes::default(), dropped });
    }
    let base = materialized.manifest().await?;
    make_directory(&packs_dir)?;
    let write = WriteOptions { tenant, base: base.clone(), limits, temp_dir: packs_dir };
    let reading = Reading { top, changed, base: base.clone() };
    let written = write_tree(storage, write, registry, move |writer| reading.write(writer)).await?;
    let empty = Tree::default();
    let before = base.as_ref().map_or(&empty, |base| base.tree());
    let changes = written.as_ref().map(|written| Changes::between(before, written.manifest.tree()));
    Ok(Pushed { written, changes: changes.unwrap_or_default(), dropped })
}

fn make_directory(path: &Path) -> Result<(), WorkspaceError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(WorkspaceError::Io { operation: "create", path: path.display().to_string(), source: error })
        }
        _ => Ok(()),
    }
}

impl Materialized {
    /// The manifest of the base version.
    async fn manifest(&self) -> Result<Option<Arc<Manifest>>, StorageError> {
        match &self.base {
            Some(base) => base.manifest().await.cloned().map(Some),
            None => Ok(None),
        }
    }

    /// The first look: what may have changed.
    fn look(
        &self,
        workspace: &Path,
        base: Option<&Manifest>,
        limit: u64,
    ) -> Result<(OwnedFd, Changed), WorkspaceError> {
        let open =
            |path: &Path| open_top(path).map_err(WorkspaceError::io("open", path.as_os_str().as_encoded_bytes()));
        let top = open(workspace)?;
        let mut changed = match &self.detection {
            Detection::Walk(baseline) => {
                detect::walk(&top, base.map_or(&[], |base| base.tree().entries()), baseline, limit)?
            }
            Detection::Layer(layer) => detect::upper(open(layer.upper())?, &top, open(layer.lower())?, limit)?,
        };
        if changed.is_empty() {
            changed.close_directories(&mut Directories::below(&top));
        }
        Ok((top, changed))
    }
}

struct Reading {
    top: OwnedFd,
    changed: Changed,
    base: Option<Arc<Manifest>>,
}

impl Reading {
    fn write(mut self, writer: &mut TreeWriter) -> Result<(), StorageError> {
        let found = std::mem::take(&mut self.changed.found);
        let result = self.add_all(found, writer);
        self.changed.close_directories(&mut Directories::below(&self.top));
        result
    }

    fn add_all(&self, found: Vec<Found>, writer: &mut TreeWriter) -> Result<(), StorageError> {
        let entries = self.base.as_ref().map_or(&[][..], |base| base.tree().entries());
        let mut directories = Directories::below(&self.top);
        // All lists are sorted, so the base and what is gone of it are walked along.
        let (mut at, mut removed) = (0, self.changed.removed.as_slice());
        for Found { path, kind } in found {
            at = reuse_until(writer, entries, at, Some(&path), &mut removed)?;
            match kind {
                FoundKind::Dir(mode) => writer.add_dir(path, mode)?,
                FoundKind::Symlink(target) => writer.add_symlink(path, target)?,
                FoundKind::File(stat) => {
                    let mut file = WorkspaceFile { directories: &mut directories, path: &path, open: None };
                    writer.add_file(path.clone(), Mode::new(stat.mode), &mut file)?;
                }
            }
        }
        reuse_until(writer, entries, at, None, &mut removed).map(drop)
    }
}

/// Takes over what lies before `path` and is not gone; answers what comes behind it.
fn reuse_until(
    writer: &mut TreeWriter,
    entries: &[Entry],
    mut at: usize,
    path: Option<&RelativePath>,
    removed: &mut &[RelativePath],
) -> Result<usize, StorageError> {
    while let Some(entry) = entries.get(at).filter(|entry| path.is_none_or(|path| entry.path <= *path)) {
        let is_behind = |gone: &RelativePath| *gone < entry.path && !entry.path.is_below(gone);
        while removed.first().is_some_and(is_behind) {
            *removed = &removed[1..];
        }
        let is_gone = removed.first().is_some_and(|gone| *gone == entry.path || entry.path.is_below(gone));
        if !is_gone && path.is_none_or(|path| entry.path != *path) {
            writer.reuse(at)?;
        }
        at += 1;
    }
    Ok(at)
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
