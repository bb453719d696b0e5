//! Mounts: the few this worker makes, by the kernel's new interface (`fsopen(2)`, `fsconfig(2)`, `fsmount(2)`, `move_mount(2)`).
//!
//! Paths are given to the kernel as `/proc/self/fd/N`, so that no character of theirs can be read as a separator and no
//! length matters. Why a mount was refused is asked of the kernel, which says more than an error number.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::{Errno, read},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, move_mount, unmount as umount,
    },
};

/// A mount the kernel refused, with its words.
#[derive(Debug, thiserror::Error)]
#[error("cannot mount {filesystem}{}", Said(said))]
pub struct MountError {
    filesystem: &'static str,
    said: String,
    #[source]
    pub(crate) source: io::Error,
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl MountError {
    /// For `map_err` on a system call that prepares a mount.
    pub(crate) fn of(filesystem: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self { filesystem, said: String::new(), source: errno.into() }
    }
}

/// A mount being configured.
pub(crate) struct Mounting {
    filesystem: &'static str,
    context: OwnedFd,
    failed: Option<Errno>,
}

impl Mounting {
    pub(crate) fn of(filesystem: &'static str) -> Result<Self, MountError> {
        let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC);
        Ok(Self { filesystem, context: context.map_err(MountError::of(filesystem))?, failed: None })
    }

    /// Sets an option to the file or directory behind a handle.
    pub(crate) fn place(self, key: &'static str, handle: impl AsFd) -> Self {
        let path = by_handle(handle.as_fd());
        self.option(key, &path)
    }

    pub(crate) fn option(mut self, key: &'static str, value: &str) -> Self {
        let set = fsconfig_set_string(self.context.as_fd(), key, value);
        self.failed = self.failed.or(set.err());
        self
    }

    pub(crate) fn flag(mut self, key: &'static str) -> Self {
        let set = fsconfig_set_flag(self.context.as_fd(), key);
        self.failed = self.failed.or(set.err());
        self
    }

    /// Mounts on the directory `target`.
    pub(crate) fn mount(self, target: impl AsFd, attributes: MountAttrFlags) -> Result<(), MountError> {
        let result = self.failed.map_or(Ok(()), Err).and_then(|()| self.attach(target.as_fd(), attributes));
        result.map_err(|errno| MountError { filesystem: self.filesystem, said: self.said(), source: errno.into() })
    }

    fn attach(&self, target: BorrowedFd<'_>, attributes: MountAttrFlags) -> rustix::io::Result<()> {
        fsconfig_create(self.context.as_fd())?;
        let mount = fsmount(self.context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount.as_fd(), "", target, "", flags)
    }

    /// What the kernel has to say of it (`fsopen(2)`: messages are read from the context).
    fn said(&self) -> String {
        let mut lines = Vec::new();
        let mut line = [0; 1024];
        while let Ok(len) = read(&self.context, &mut line) {
            let text = String::from_utf8_lossy(&line[..len]);
            // Each begins with its level and a space.
            lines.push(text.get(2..).unwrap_or_default().trim_end().to_owned());
        }
        lines.join("; ")
    }
}

/// Unmounts what is mounted on `target`; nothing there is no error. Busy ones are let go when their last user ends. Who may
/// not unmount has mounted nothing either, and is told so before the kernel looks.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    match umount(target, UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT | Errno::PERM) => Ok(()),
        Err(Errno::BUSY) => Ok(umount(target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)?),
        Err(errno) => Err(errno.into()),
    }
}

/// Unmounts everything below `root`, the last first; one that resists does not keep the others. For whoever clears away after
/// workers that were killed.
///
/// # Errors
/// The mounts cannot be listed, or one of them resists.
pub fn unmount_below(root: &Path) -> io::Result<()> {
    let below = mounts()?.into_iter().filter(|mount| mount.starts_with(root) && mount != root);
    let unmounted = below.collect::<Vec<_>>().into_iter().rev().map(|mount| {
        match umount(mount.as_path(), UnmountFlags::NOFOLLOW | UnmountFlags::DETACH) {
            Err(Errno::INVAL | Errno::NOENT) | Ok(()) => Ok(()),
            Err(errno) => Err(io::Error::from(errno)),
        }
    });
    unmounted.fold(Ok(()), io::Result::and)
}

/// Where file systems are mounted, in the order they were (`proc_pid_mountinfo(5)`).
fn mounts() -> io::Result<Vec<PathBuf>> {
    let table = fs_err::read("/proc/self/mountinfo")?;
    let points = table.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&byte| byte == b' ').nth(4));
    Ok(points.map(unescape).collect())
}

/// Space, tab, newline and backslash are written as `\ooo`.
fn unescape(point: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(point.len());
    let mut rest = point;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Opens a directory to mount on, or a file to be named in a mount.
pub(crate) fn handle(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn by_handle(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_read() {
        assert_eq!(unescape(br"/a\040b\134c\x"), Path::new(r"/a b\c\x"));
        assert_eq!(unescape(br"/end\04"), Path::new(r"/end\04"));
    }
}
