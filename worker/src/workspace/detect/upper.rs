//! By the layer that took the changes, where the workspace is a mount: costs what changed, not what there is.
//!
//! The layer is the kernel's own bookkeeping (Linux `Documentation/filesystems/overlayfs.rst`), and read as a list of
//! names only: what is at a name is asked of the merged view, because a file in the layer may lack its data and a directory
//! most of its entries. Two attributes matter: a directory that is opaque or redirected shows nothing, or something else,
//! of what is below it in the version, so all of it is looked at.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use drydock_domain::{LinkTarget, Mode, RelativePath};
use rustix::{
    fs::{FileType, Stat, fgetxattr, readlinkat},
    io::Errno,
};

use super::{
    Changed, FileStat, Found, FoundKind,
    snapshot::{Snapshot, Walk},
    walk::is_lone_exchange,
};
use crate::workspace::{
    WorkspaceError,
    directory::{names, open_child, stat},
    error::shown,
};

const OPAQUE: &CStr = c"trusted.overlay.opaque";
const REDIRECT: &CStr = c"trusted.overlay.redirect";

/// A directory in the three views of a mount.
struct Views {
    path: Option<RelativePath>,
    upper: OwnedFd,
    merged: OwnedFd,
    /// Not there when the agent made it.
    lower: OwnedFd,
}

/// What may differ in a workspace mounted at `merged` over `lower` with the layer `upper`. Blocking.
pub(in crate::workspace) fn upper(
    upper: OwnedFd,
    merged: &OwnedFd,
    lower: OwnedFd,
    limit: u64,
) -> Result<Changed, WorkspaceError> {
    let top =
        merged.try_clone().map_err(|source| WorkspaceError::Io { operation: "open", path: ".".to_owned(), source })?;
    let mut scan = Scan { top: merged, changed: Changed::default(), pending: Vec::new(), limit };
    scan.pending.push(Views { path: None, upper, merged: top, lower });
    while let Some(views) = scan.pending.pop() {
        scan.directory(&views)?;
        if scan.changed.found.len() as u64 > limit {
            return Err(WorkspaceError::TooManyFiles { limit });
        }
    }
    let mut changed = scan.changed;
    changed.sort();
    Ok(changed)
}

struct Scan<'t> {
    /// The workspace.
    top: &'t OwnedFd,
    changed: Changed,
    pending: Vec<Views>,
    limit: u64,
}

impl Scan<'_> {
    fn directory(&mut self, views: &Views) -> Result<(), WorkspaceError> {
        let bytes = views.path.as_ref().map_or(&b""[..], RelativePath::as_bytes);
        for name in names(&views.upper).map_err(WorkspaceError::io("list", bytes))? {
            let name = name.map_err(WorkspaceError::io("list", bytes))?;
            let path = join(views.path.as_ref(), &name)?;
            if !path.is_protocol_file() {
                self.look(views, &name, path)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, views: &Views, name: &CString, path: RelativePath) -> Result<(), WorkspaceError> {
        let failed = |operation| WorkspaceError::io(operation, path.as_bytes());
        let before = there(views.lower.as_fd(), name).map_err(failed("look at"))?;
        let Some(now) = there(views.merged.as_fd(), name).map_err(failed("look at"))? else {
            self.changed.removed.extend(before.map(|_| path));
            return Ok(());
        };
        match FileType::from_raw_mode(now.st_mode) {
            FileType::Directory => self.look_at_directory(views, name, path, before.as_ref(), &now),
            kind => {
                let replaces = |stat: Stat| FileType::from_raw_mode(stat.st_mode) != kind;
                if before.is_some_and(replaces) {
                    self.changed.removed.push(path.clone());
                }
                match kind {
                    FileType::RegularFile => {
                        let kind = FoundKind::File(FileStat::from(&now));
                        self.changed.found.push(Found { path, kind });
                    }
                    FileType::Symlink => {
                        let kind = FoundKind::Symlink(target(views.merged.as_fd(), name, &path)?);
                        self.changed.found.push(Found { path, kind });
                    }
                    _ => self.changed.dropped.special += 1,
                }
                Ok(())
            }
        }
    }

    fn look_at_directory(
        &mut self,
        views: &Views,
        name: &CString,
        path: RelativePath,
        before: Option<&Stat>,
        now: &Stat,
    ) -> Result<(), WorkspaceError> {
        let failed = |operation| WorkspaceError::io(operation, path.as_bytes());
        let upper = self.open(views.upper.as_fd(), name, Some(&path)).map_err(failed("open"))?;
        let merged = self.open(views.merged.as_fd(), name, Some(&path)).map_err(failed("open"))?;
        let mode = Mode::new(now.st_mode);
        let was = before.filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        let shows_all = !has(&upper, OPAQUE) && !has(&upper, REDIRECT);
        match was.filter(|_| shows_all) {
            Some(was) => {
                if Mode::new(was.st_mode) != mode {
                    self.changed.found.push(Found { path: path.clone(), kind: FoundKind::Dir(mode) });
                }
                let lower = self.open(views.lower.as_fd(), name, None).map_err(failed("open"))?;
                self.pending.push(Views { path: Some(path), upper, merged, lower });
                Ok(())
            }
            None => self.all_of(path, mode, before.is_some()),
        }
    }

    /// A directory of which nothing is known: all in it is found, and what the version has there is gone.
    fn all_of(&mut self, path: RelativePath, mode: Mode, had: bool) -> Result<(), WorkspaceError> {
        let Snapshot { mut found, dropped, opened } = Walk::of(self.top, self.limit).below(&path)?;
        found.retain(|found| !found.path.is_protocol_file());
        self.changed.dropped.special += dropped.special;
        self.changed.dropped.mounts += dropped.mounts;
        self.changed.opened.extend(opened);
        let directory = Found { path: path.clone(), kind: FoundKind::Dir(mode) };
        if had {
            self.changed.removed.push(path);
        } else if is_lone_exchange(&directory, found.first()) {
            return Ok(());
        }
        self.changed.found.push(directory);
        self.changed.found.append(&mut found);
        Ok(())
    }

    /// Opens a directory; one of the merged view that had to be made accessible is noted.
    fn open(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CString,
        path: Option<&RelativePath>,
    ) -> rustix::io::Result<OwnedFd> {
        let (directory, opened) = open_child(parent, name.to_bytes())?;
        self.changed.opened.extend(path.cloned().zip(opened));
        Ok(directory)
    }
}

fn join(directory: Option<&RelativePath>, name: &CString) -> Result<RelativePath, WorkspaceError> {
    let path = directory.map_or_else(|| RelativePath::new(name.to_bytes()), |dir| dir.join(name.to_bytes()));
    path.map_err(|source| WorkspaceError::Path {
        directory: shown(directory.map_or(&b""[..], RelativePath::as_bytes)),
        name: shown(name.to_bytes()),
        source,
    })
}

fn there(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Option<Stat>> {
    match stat(directory, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn target(directory: BorrowedFd<'_>, name: &CStr, path: &RelativePath) -> Result<LinkTarget, WorkspaceError> {
    let target = readlinkat(directory, name, Vec::new());
    let target = target.map_err(WorkspaceError::io("read symlink", path.as_bytes()))?;
    LinkTarget::new(target.to_bytes()).map_err(|error| drydock_storage::StorageError::InvalidTree(error).into())
}

fn has(directory: &OwnedFd, attribute: &CStr) -> bool {
    fgetxattr(directory, attribute, &mut [0_u8; 0]).is_ok()
}
