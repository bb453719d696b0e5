//! A tar stream into a folder. Nothing outside the folder is touched: each path is walked directory by directory from the folder's own
//! handle, and no link is followed, whether it came with the archive or was there.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use bytes::{Buf as _, Bytes};
use drydock_domain::RelativePath;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fchmod, mkdirat, openat, symlinkat, unlinkat},
    io::Errno,
};
use tar::{Archive, Entry, EntryType};
use tokio::{sync::mpsc, task::JoinHandle};

use super::Totals;

/// Parts in flight between the connection and the disk.
const AHEAD: usize = 16;
/// How a directory is opened without following a link.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How a file is made where there is none.
pub(crate) const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What becomes of Git's own files, whose hooks and settings run programs at the next `git status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Git {
    /// Nothing named `.git`, in any case of letters, is written, nor what is below it.
    LeftOut,
    /// It is written like all else.
    Written,
}

impl Git {
    fn leaves_out(self, path: &RelativePath) -> bool {
        self == Self::LeftOut && path.components().any(|name| name.eq_ignore_ascii_case(b".git"))
    }
}

/// Where the parts of an archive go.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<io::Result<Bytes>>);

impl Feed {
    /// Gives the next part; `false` when no more is wanted.
    pub async fn part(&mut self, part: Bytes) -> bool {
        self.0.send(Ok(part)).await.is_ok()
    }

    /// Says that there are no more, and whether all came.
    pub async fn end(self, whole: bool) {
        if !whole {
            // Whoever unpacks may have stopped already.
            let _stopped = self.0.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
        }
    }
}

/// Unpacks what is fed into the directory `root`, on a thread of its own.
pub fn unpack_stream(root: PathBuf, git: Git) -> (Feed, JoinHandle<io::Result<Totals>>) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let thread = tokio::task::spawn_blocking(move || unpack(&root, Parts { receiver, part: Bytes::new() }, git));
    (Feed(sender), thread)
}

struct Parts {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    part: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.receiver.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
        }
        let count = self.part.len().min(buf.len());
        buf[..count].copy_from_slice(&self.part[..count]);
        self.part.advance(count);
        Ok(count)
    }
}

/// Unpacks `archive` into the directory `root`.
///
/// # Errors
/// The archive breaks off or names what is outside, or something cannot be written; what was written until then stays.
pub fn unpack(root: &Path, archive: impl Read, git: Git) -> io::Result<Totals> {
    let root = openat(CWD, root, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?;
    let mut archive = Archive::new(archive);
    let mut totals = Totals::default();
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = path_of(&entry)?;
        if git.leaves_out(&path) {
            totals.ignored += 1;
            continue;
        }
        let kind = one(&root, &path, &mut entry, &mut totals).map_err(|error| named(&path, &error))?;
        if kind == EntryType::Directory {
            directories.push((path, entry.header().mode()?));
        }
    }
    // Last of all and from the bottom up: a directory that may not be written to has to be filled first.
    for (path, mode) in directories.iter().rev() {
        let done =
            directory(&root, path, Mode::RWXU).and_then(|dir| Ok(fchmod(dir, Mode::from_raw_mode(mode & 0o777))?));
        done.map_err(|error| named(path, &error))?;
    }
    Ok(totals)
}

fn one(
    root: &OwnedFd,
    path: &RelativePath,
    entry: &mut Entry<'_, impl Read>,
    totals: &mut Totals,
) -> io::Result<EntryType> {
    let kind = entry.header().entry_type();
    let parent = match path.parent() {
        Some(parent) => directory(root, &parent, Mode::RWXU)?,
        None => root.try_clone()?,
    };
    let name = OsStr::from_bytes(path.file_name());
    match kind {
        EntryType::Directory => {
            directory(root, path, Mode::RWXU)?;
        }
        EntryType::Symlink => {
            remove(&parent, name)?;
            let target = entry.link_name_bytes().ok_or(io::ErrorKind::InvalidData)?;
            symlinkat(OsStr::from_bytes(&target), &parent, name)?;
            totals.files += 1;
        }
        EntryType::Regular => {
            remove(&parent, name)?;
            let file = openat(&parent, name, NEW_FILE, Mode::from_raw_mode(0o600))?;
            let mut file = std::fs::File::from(file);
            totals.bytes += io::copy(entry, &mut file)?;
            fchmod(file.as_fd(), Mode::from_raw_mode(entry.header().mode()? & 0o777))?;
            totals.files += 1;
        }
        other => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is of an unknown kind ({other:?})")));
        }
    }
    Ok(kind)
}

/// The directory at `path`, made where it is missing.
pub(crate) fn directory(root: &OwnedFd, path: &RelativePath, mode: Mode) -> io::Result<OwnedFd> {
    let mut at = root.try_clone()?;
    for name in path.components().map(OsStr::from_bytes) {
        match mkdirat(&at, name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        at = openat(&at, name, DIRECTORY, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("'{}' is no directory: move it away first", name.display()),
            ),
            other => other.into(),
        })?;
    }
    Ok(at)
}

/// What is at a name, a link itself included; a directory is not removed.
fn remove(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory is in its place: move it away first"))
        }
        Err(error) => Err(error.into()),
    }
}

fn path_of(entry: &Entry<'_, impl Read>) -> io::Result<RelativePath> {
    let bytes = entry.path_bytes();
    let bytes = bytes.strip_suffix(b"/").unwrap_or(&bytes);
    RelativePath::new(bytes).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the archive names '{}': {error}", bytes.escape_ascii()))
    })
}

fn named(path: &RelativePath, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("'{path}': {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// An archive of these entries: name, kind, target or content.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == EntryType::Directory { 0o555 } else { 0o640 });
            // As it is: the library would refuse to write what must be refused.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            let body = if *kind == EntryType::Regular { text.as_bytes() } else { b"" };
            if *kind == EntryType::Symlink {
                header.set_link_name_literal(text).unwrap();
            }
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append(&header, body).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;
    const DIR: EntryType = EntryType::Directory;

    #[test]
    fn what_is_there_is_replaced_and_links_are_not_followed() {
        let (outside, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        fs_err::write(&victim, "untouched").unwrap();
        symlink(&victim, dir.path().join("file")).unwrap();
        fs_err::write(dir.path().join("stays"), "stays").unwrap();
        let bytes = archive(&[("d", DIR, ""), ("d/in", FILE, "in"), ("file", FILE, "new"), ("link", LINK, "../x//y")]);
        let totals = unpack(dir.path(), bytes.as_slice(), Git::LeftOut).unwrap();
        assert_eq!(totals, Totals { files: 3, bytes: 5, ignored: 0 });
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs_err::read_to_string(dir.path().join("file")).unwrap(), "new");
        assert_eq!(fs_err::read_to_string(dir.path().join("d/in")).unwrap(), "in");
        assert_eq!(fs_err::read_to_string(dir.path().join("stays")).unwrap(), "stays");
        assert_eq!(fs_err::read_link(dir.path().join("link")).unwrap(), Path::new("../x//y"));
        let mode = |name: &str| fs_err::symlink_metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("file"), mode("d")), (0o640, 0o555));
    }

    #[test]
    fn nothing_gets_outside() {
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().to_str().unwrap();
        let cases: [&[(&str, EntryType, &str)]; 5] = [
            &[("l", LINK, target), ("l/x", FILE, "x")],
            &[("l", LINK, target), ("l", DIR, ""), ("l/x", FILE, "x")],
            &[("../x", FILE, "x")],
            &[("/x", FILE, "x")],
            &[("x", EntryType::Link, "")],
        ];
        for entries in cases {
            let dir = tempfile::tempdir().unwrap();
            let bytes = archive(entries);
            assert!(unpack(dir.path(), bytes.as_slice(), Git::LeftOut).is_err(), "{entries:?}");
            assert!(fs_err::read_dir(outside.path()).unwrap().next().is_none(), "{entries:?}");
        }
    }

    #[test]
    fn what_git_would_run_is_left_out_unless_asked_for() {
        let entries = [
            (".git", DIR, ""),
            (".git/config", FILE, "[core]"),
            ("sub", DIR, ""),
            ("sub/.GiT", LINK, "../.git"),
            (".GIT/hooks/post-checkout", FILE, "#!/bin/sh"),
            (".gitignore", FILE, "target"),
        ];
        for (git, written) in [(Git::LeftOut, false), (Git::Written, true)] {
            let dir = tempfile::tempdir().unwrap();
            let totals = unpack(dir.path(), archive(&entries).as_slice(), git).unwrap();
            assert_eq!((totals.files, totals.ignored), if written { (4, 0) } else { (1, 4) });
            for name in [".git/config", "sub/.GiT", ".GIT/hooks/post-checkout"] {
                let there = dir.path().join(name).symlink_metadata().is_ok();
                assert_eq!(there, written, "{name}");
            }
            assert!(dir.path().join(".gitignore").exists());
        }
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(&[("file", FILE, &"x".repeat(2000))]);
        assert!(unpack(dir.path(), &bytes[..1500], Git::LeftOut).is_err());
    }
}
