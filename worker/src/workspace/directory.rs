//! Access to a directory tree by handle: no path is ever resolved by the kernel across a symlink.
//!
//! Owns the few ways the worker opens things in a workspace, and getting at those whose modes forbid it.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use drydock_domain::RelativePath;
use rustix::{
    fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, accessat, chmod, fstat, open, openat, statat},
    io::{Errno, Result},
};

const OPEN_DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Everything the owner needs to list a directory and to change what is in it.
pub(super) const OWNER_ALL: Mode = Mode::RWXU;

/// Opens a directory by its path in the file system; its parents are ours.
pub(crate) fn open_top(path: &Path) -> Result<OwnedFd> {
    open(path, OPEN_DIR, Mode::empty())
}

/// Opens the directory `name` in `parent`. One that we may not list, search and write to is made accessible first; the
/// second value is then the mode it had.
pub(super) fn open_child(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, Option<Mode>)> {
    let handle =
        openat(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let mode = Mode::from_raw_mode(fstat(&handle)?.st_mode);
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    if mode.contains(OWNER_ALL) || accessat(CWD, by_handle(&handle), all, AtFlags::EACCESS).is_ok() {
        return Ok((openat(parent, name, OPEN_DIR, Mode::empty())?, None));
    }
    let before = mode & Mode::from_raw_mode(0o7777);
    // By handle, so that a symlink put in its place meanwhile is not followed. A foreign directory refuses, and may
    // be accessible nevertheless.
    let _ = chmod(by_handle(&handle), before | OWNER_ALL);
    Ok((openat(&handle, ".", OPEN_DIR, Mode::empty())?, Some(before)))
}

/// Opens the regular file `name` in `parent` for reading, whatever its mode; the mode is left as it was.
pub(crate) fn open_file(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    // Non-blocking, so that a fifo put in its place cannot hang us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let handle = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let stat = fstat(&handle)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(Errno::ACCESS);
            }
            let before = Mode::from_raw_mode(stat.st_mode & 0o7777);
            chmod(by_handle(&handle), before | Mode::RUSR)?;
            let file = openat(CWD, by_handle(&handle), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            chmod(by_handle(&handle), before)?;
            file
        }
        result => result,
    }
}

/// The name by which the kernel lets an `O_PATH` handle be used where it wants a path (proc(5)).
fn by_handle(handle: &OwnedFd) -> CString {
    use std::os::fd::AsRawFd as _;
    CString::new(format!("/proc/self/fd/{}", handle.as_raw_fd())).expect("a number has no NUL")
}

/// What is at `name` in `parent`, itself: a symlink is not followed.
pub(super) fn stat(parent: BorrowedFd<'_>, name: &CStr) -> Result<Stat> {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Names in a directory, without `.` and `..`.
pub(super) fn names(directory: impl AsFd) -> Result<impl Iterator<Item = Result<CString>>> {
    Ok(entries(directory)?.map(|entry| entry.map(|(name, _)| name)))
}

/// Names in a directory, without `.` and `..`, and what they are, where the file system says so.
pub(super) fn entries(directory: impl AsFd) -> Result<impl Iterator<Item = Result<(CString, FileType)>>> {
    let entries = Dir::read_from(directory)?;
    Ok(entries.filter_map(|entry| match entry {
        Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => None,
        Ok(entry) => Some(Ok((entry.file_name().to_owned(), entry.file_type()))),
        Err(errno) => Some(Err(errno)),
    }))
}

/// Opens directories below a top one, remembering the last: neighbours in path order share their parent.
pub(crate) struct Directories<'t> {
    top: BorrowedFd<'t>,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'t> Directories<'t> {
    pub(crate) fn below(top: &'t impl AsFd) -> Self {
        Self { top: top.as_fd(), last: None }
    }

    /// The directory that holds `path`; one handle is kept, so depth costs no handles.
    pub(crate) fn parent_of(&mut self, path: &RelativePath) -> Result<BorrowedFd<'_>> {
        match path.parent_bytes() {
            Some(parent) => self.open(parent),
            None => Ok(self.top),
        }
    }

    /// The directory `path`, or the top one where that is empty.
    pub(super) fn at(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if path.is_empty() { Ok(self.top) } else { self.open(path) }
    }

    /// The directory `path` itself, component by component.
    pub(super) fn open(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut current: Option<OwnedFd> = None;
            for name in path.split(|&byte| byte == b'/') {
                let parent = current.as_ref().map_or(self.top, AsFd::as_fd);
                current = Some(openat(parent, name, OPEN_DIR, Mode::empty())?);
            }
            self.last = current.map(|directory| (path.to_vec(), directory));
        }
        Ok(self.last.as_ref().map_or(self.top, |(_, directory)| directory.as_fd()))
    }
}
