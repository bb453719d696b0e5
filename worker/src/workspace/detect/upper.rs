//! By the layer that took the changes, where the workspace is a mount: costs what changed, not what there is.
//!
//! The layer is the kernel's own bookkeeping (Linux `Documentation/filesystems/overlayfs.rst`), and read as a list of
//! names only: what is at a name is asked of the merged view, because a file in the layer may lack its data and a directory
//! most of its entries. Two attributes matter: a directory that is opaque or redirected shows nothing, or something else,
//! of what is below it in the version, so all of it is looked at.

use std::{
    ffi::{CStr, CString},
    os::fd::{BorrowedFd, OwnedFd},
};

use drydock_domain::{IgnoreRules, LinkTarget, Mode, RelativePath};
use drydock_files::{Directories, names, open_child, stat};
use rustix::{
    fs::{FileType, Stat, fgetxattr, fstat, readlinkat},
    io::Errno,
};

use super::{
    Changed, FileStat, Found, FoundKind,
    ignoring::{Standing, judge},
    snapshot::{Ignoring, Snapshot, Walk},
    walk::is_lone_exchange,
};
use crate::{
    kill_point::{KillPoint, pass},
    workspace::{WorkspaceError, error::shown},
};

const OPAQUE: &CStr = c"trusted.overlay.opaque";
const REDIRECT: &CStr = c"trusted.overlay.redirect";

/// A mounted workspace from its three sides.
pub(in crate::workspace) struct Sides {
    /// The layer that took the changes.
    pub(in crate::workspace) upper: OwnedFd,
    /// The version.
    pub(in crate::workspace) lower: OwnedFd,
}

/// A directory in all three views.
struct Views<'v> {
    path: Option<&'v RelativePath>,
    standing: Standing,
    upper: BorrowedFd<'v>,
    merged: BorrowedFd<'v>,
    lower: BorrowedFd<'v>,
}

/// What may differ in the workspace `merged`. Blocking.
pub(in crate::workspace) fn upper(
    sides: &Sides,
    merged: &OwnedFd,
    rules: &IgnoreRules,
    limit: u64,
) -> Result<Changed, WorkspaceError> {
    let device = fstat(merged).map_err(WorkspaceError::io("look at", b""))?.st_dev;
    let is_tracked = |path: &RelativePath, is_dir| is_tracked(&sides.lower, path, is_dir);
    let ignoring = Ignoring { rules, is_tracked: &is_tracked };
    let pending = vec![(None, Standing::Open)];
    let mut scan = Scan { top: merged, device, ignoring, changed: Changed::default(), pending, limit };
    // By path and not by handle: as many directories may wait as there are.
    while let Some((path, standing)) = scan.pending.pop() {
        let tops = [&sides.upper, merged, &sides.lower];
        let mut directories = tops.map(Directories::below);
        let [upper, merged, lower] = &mut directories;
        let bytes = path.as_ref().map_or(&b""[..], RelativePath::as_bytes);
        let opened = (upper.at(bytes), merged.at(bytes), lower.at(bytes));
        let failed = WorkspaceError::io("open", bytes);
        let views = match opened {
            (Ok(upper), Ok(merged), Ok(lower)) => Views { path: path.as_ref(), standing, upper, merged, lower },
            (Err(errno), ..) | (_, Err(errno), _) | (.., Err(errno)) => return Err(failed(errno)),
        };
        scan.directory(&views)?;
    }
    let mut changed = scan.changed;
    changed.sort();
    Ok(changed)
}

struct Scan<'t> {
    /// The workspace.
    top: &'t OwnedFd,
    device: u64,
    ignoring: Ignoring<'t>,
    changed: Changed,
    /// Directories to look into; `None` is the top.
    pending: Vec<(Option<RelativePath>, Standing)>,
    limit: u64,
}

impl Scan<'_> {
    fn directory(&mut self, views: &Views<'_>) -> Result<(), WorkspaceError> {
        let bytes = views.path.map_or(&b""[..], RelativePath::as_bytes);
        for name in names(views.upper).map_err(WorkspaceError::io("list", bytes))? {
            let name = name.map_err(WorkspaceError::io("list", bytes))?;
            let path = join(views.path, &name)?;
            if !path.is_protocol_file() {
                self.look(views, &name, path)?;
                if self.changed.found.len() as u64 > self.limit {
                    return Err(WorkspaceError::TooManyFiles { limit: self.limit });
                }
                pass(KillPoint::Scanning);
            }
        }
        Ok(())
    }

    fn look(&mut self, views: &Views<'_>, name: &CString, path: RelativePath) -> Result<(), WorkspaceError> {
        let failed = |operation| WorkspaceError::io(operation, path.as_bytes());
        let before = there(views.lower, name).map_err(failed("look at"))?;
        let Some(now) = there(views.merged, name).map_err(failed("look at"))? else {
            self.changed.removed.extend(before.map(|_| path));
            return Ok(());
        };
        let kind = FileType::from_raw_mode(now.st_mode);
        let is_dir = kind == FileType::Directory;
        let is_tracked = || before.as_ref().is_some_and(|before| is_directory(before) == is_dir);
        let Some(standing) = judge(self.ignoring.rules, views.standing, &path, is_dir, is_tracked) else {
            self.changed.dropped.ignored += 1;
            self.changed.removed.extend(before.map(|_| path));
            return Ok(());
        };
        match kind {
            FileType::Directory => self.look_at_directory(views, name, path, standing, (before.as_ref(), &now)),
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
                        let kind = FoundKind::Symlink(target(views.merged, name, &path)?);
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
        views: &Views<'_>,
        name: &CString,
        path: RelativePath,
        standing: Standing,
        (before, now): (Option<&Stat>, &Stat),
    ) -> Result<(), WorkspaceError> {
        let failed = |operation| WorkspaceError::io(operation, path.as_bytes());
        if now.st_dev != self.device {
            // Mounted over by somebody: what is below it cannot be seen.
            self.changed.dropped.mounts += 1;
            return Ok(());
        }
        let upper = self.open(views.upper, name, &path).map_err(failed("open"))?;
        self.open(views.merged, name, &path).map_err(failed("open"))?;
        let mode = Mode::new(now.st_mode);
        let was = before.filter(|stat| is_directory(stat));
        let shows_all = !has(&upper, OPAQUE) && !has(&upper, REDIRECT);
        match was.filter(|_| shows_all) {
            Some(was) => {
                if Mode::new(was.st_mode) != mode {
                    self.changed.found.push(Found { path: path.clone(), kind: FoundKind::Dir(mode) });
                }
                self.pending.push((Some(path), standing));
                Ok(())
            }
            None => self.all_of(path, standing, mode, before.is_some()),
        }
    }

    /// A directory of which nothing is known: all in it is found, and what the version has there is gone.
    fn all_of(&mut self, path: RelativePath, standing: Standing, mode: Mode, had: bool) -> Result<(), WorkspaceError> {
        let walk = Walk::of(self.top, self.limit, self.ignoring).beside(self.changed.found.len() as u64);
        let Snapshot { mut found, dropped, opened } = walk.below(&path, standing)?;
        found.retain(|found| !found.path.is_protocol_file());
        self.changed.dropped += dropped;
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

    /// Opens a directory; one that had to be made accessible is noted.
    fn open(&mut self, parent: BorrowedFd<'_>, name: &CString, path: &RelativePath) -> rustix::io::Result<OwnedFd> {
        let (directory, opened) = open_child(parent, name.to_bytes())?;
        self.changed.opened.extend(opened.map(|mode| (path.clone(), mode)));
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

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether the version has a directory at `path`, or something else.
fn is_tracked(lower: &OwnedFd, path: &RelativePath, is_dir: bool) -> bool {
    let name = CString::new(path.file_name()).unwrap_or_default();
    match Directories::below(lower).parent_of(path).and_then(|parent| stat(parent, &name)) {
        Ok(stat) => is_directory(&stat) == is_dir,
        // What cannot be told is kept.
        Err(errno) => !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP),
    }
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
    // What cannot be told is looked at whole.
    !matches!(fgetxattr(directory, attribute, &mut [0_u8; 0]), Err(Errno::NODATA | Errno::OPNOTSUPP))
}
