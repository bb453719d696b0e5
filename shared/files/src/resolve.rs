//! From a path to a handle, below a directory and nowhere else.
//!
//! By the kernel, which alone can look and open in one (openat2(2)). Where it cannot, component by component, each opened as a path only and
//! through no link; whoever moves a directory out of the tree meanwhile is followed at most to what they had inside.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use drydock_domain::RelativePath;
use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, fstat, openat, openat2, statx},
    io::Errno,
};

use crate::{FileError, Kind, Links};

/// Times that a look is begun anew because something was moved in the middle of it.
const TRIES: usize = 16;
/// The longest path that the kernel takes in one, with its NUL (`PATH_MAX`, limits.h).
const PATH_MAX: usize = 4096;

/// Opened to be looked at only: neither a pipe nor a device notices.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// How a path is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the kernel, in one.
    Openat2,
    /// Component by component.
    ByComponent,
}

/// A handle of what is at `path`, opened as a path only.
pub(crate) fn resolve(top: BorrowedFd<'_>, path: &RelativePath, links: Links, way: Way) -> Result<OwnedFd, FileError> {
    if way == Way::Openat2 && path.as_bytes().len() < PATH_MAX {
        match in_one(top, path, links) {
            // A sandbox that does not know the call answers either.
            Err(Errno::NOSYS | Errno::PERM) => {}
            found => return Ok(found?),
        }
    }
    match links {
        Links::None => by_component(top, path),
        Links::Inside if path.as_bytes().len() < PATH_MAX => Err(FileError::NoSafeLinks),
        Links::Inside => Err(FileError::TooLong),
    }
}

fn in_one(top: BorrowedFd<'_>, path: &RelativePath, links: Links) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let (flags, resolve) = match links {
        Links::None => (LOOK | OFlags::NOFOLLOW, inside | ResolveFlags::NO_SYMLINKS),
        Links::Inside => (LOOK, inside),
    };
    let path = OsStr::from_bytes(path.as_bytes());
    let again = || openat2(top, path, flags, Mode::empty(), resolve);
    (1..TRIES).map(|_| again()).find(|found| !matches!(found, Err(Errno::AGAIN))).unwrap_or_else(again)
}

fn by_component(top: BorrowedFd<'_>, path: &RelativePath) -> Result<OwnedFd, FileError> {
    let mount = Mount::of(top)?;
    let mut current: Option<OwnedFd> = None;
    if let Some(parent) = path.parent_bytes() {
        for name in parent.split(|&byte| byte == b'/') {
            let from = current.as_ref().map_or(top, |directory| directory.as_fd());
            current = Some(enter(from, name)?);
        }
    }
    let parent = current.as_ref().map_or(top, |directory| directory.as_fd());
    let found = openat(parent, path.file_name(), LOOK | OFlags::NOFOLLOW, Mode::empty())?;
    // Of the whole way at once: from within another file system nothing leads back but `..`, which no path has.
    if Mount::of(found.as_fd())? == mount { Ok(found) } else { Err(FileError::Outside) }
}

/// What it is, is told by the handle: another look by name may see something else.
fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, FileError> {
    let entered = openat(parent, name, LOOK | OFlags::NOFOLLOW, Mode::empty())?;
    match Kind::of(&fstat(&entered)?) {
        Kind::Directory => Ok(entered),
        Kind::Symlink => Err(FileError::Link),
        _ => Err(FileError::NotFound),
    }
}

/// A file system where it is mounted: a bind mount of the same one is another. Kernels before 5.8 do not tell, and mounts of the same device
/// are alike to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    device: (u32, u32),
    mount: Option<u64>,
}

impl Mount {
    fn of(handle: BorrowedFd<'_>) -> Result<Self, Errno> {
        Self::and_number(handle).map(|(mount, _)| mount)
    }

    /// With the number that the file has in it.
    pub(crate) fn and_number(handle: BorrowedFd<'_>) -> Result<(Self, u64), Errno> {
        let found = statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::MNT_ID)?;
        let tells = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        let mount = tells.then_some(found.stx_mnt_id);
        Ok((Self { device: (found.stx_dev_major, found.stx_dev_minor), mount }, found.stx_ino))
    }
}
