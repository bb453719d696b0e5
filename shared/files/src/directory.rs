//! Access to a directory tree by handle: no path is ever resolved by the kernel across a symlink.
//!
//! Owns the few ways directories of a workspace are opened and listed, and getting at those whose modes forbid it.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use drydock_domain::RelativePath;
use rustix::{
    fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, accessat, chmod, fstat, open, openat, statat},
    io::Result,
    path::Arg,
};

const OPEN_DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Everything the owner needs to list a directory and to change what is in it.
pub const OWNER_ALL: Mode = Mode::RWXU;

/// Opens a directory by its path in the file system; its parents are ours.
pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    open(path, OPEN_DIR, Mode::empty())
}

/// Opens the directory `name` in `parent`. One that we may not list, search and write to is made accessible first; the
/// second value is then the mode it had.
pub fn open_child(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, Option<Mode>)> {
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

/// The name by which the kernel lets an `O_PATH` handle be used where it wants a path (proc(5)).
pub(crate) fn by_handle(handle: &OwnedFd) -> CString {
    use std::os::fd::AsRawFd as _;
    CString::new(format!("/proc/self/fd/{}", handle.as_raw_fd())).expect("a number has no NUL")
}

/// What is at `name` in `parent`, itself: a symlink is not followed.
pub fn stat(parent: BorrowedFd<'_>, name: impl Arg) -> Result<Stat> {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Names in a directory, without `.` and `..`.
pub fn names(directory: impl AsFd) -> Result<impl Iterator<Item = Result<CString>>> {
    Ok(entries(directory)?.map(|entry| entry.map(|(name, _)| name)))
}

/// Names in a directory, without `.` and `..`, and what they are, where the file system says so.
pub fn entries(directory: impl AsFd) -> Result<impl Iterator<Item = Result<(CString, FileType)>>> {
    let entries = Dir::read_from(directory)?;
    Ok(entries.filter_map(|entry| match entry {
        Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => None,
        Ok(entry) => Some(Ok((entry.file_name().to_owned(), entry.file_type()))),
        Err(errno) => Some(Err(errno)),
    }))
}

/// Opens directories below a top one, remembering the last: neighbours in path order share their parent.
#[derive(Debug)]
pub struct Directories<'t> {
    top: BorrowedFd<'t>,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'t> Directories<'t> {
    /// Below the directory `top`.
    pub fn below(top: &'t impl AsFd) -> Self {
        Self { top: top.as_fd(), last: None }
    }

    /// The directory that holds `path`; one handle is kept, so depth costs no handles.
    pub fn parent_of(&mut self, path: &RelativePath) -> Result<BorrowedFd<'_>> {
        match path.parent_bytes() {
            Some(parent) => self.open(parent),
            None => Ok(self.top),
        }
    }

    /// The directory `path`, or the top one where that is empty.
    pub fn at(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if path.is_empty() { Ok(self.top) } else { self.open(path) }
    }

    /// The directory `path` itself, component by component.
    pub fn open(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
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
