//! What a run's directories take on their disk. Names are resolved one at a time from open directories, links never followed: the run may change
//! all of it meanwhile, and nothing outside is counted for it.

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat, statvfs},
    io::Errno,
};

/// A walk is followed by so many times its length without one.
const REST: u32 = 50;
/// Directories in each other at most: each is a descriptor while it is walked. A version holds no path that is deeper.
const DEEPEST: usize = 2048;
/// As stat(2) counts blocks, whatever those of the file system are.
const BLOCK: u64 = 512;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Bytes that are allocated; holes are none.
    pub(super) bytes: u64,
    /// Files and directories, by whatever number of names.
    pub(super) files: u64,
}

/// The directories of one run.
pub(super) struct Disk {
    directories: Vec<PathBuf>,
    last: Used,
    /// What was free on the disk when they were walked last.
    free: Option<(u64, u64)>,
    next: Instant,
}

impl Disk {
    pub(super) fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories, last: Used::default(), free: None, next: Instant::now() }
    }

    /// What they take now, or took when that was last worth a walk; of more than `enough`, that it is more.
    ///
    /// # Errors
    /// The disk cannot be asked, or a directory of the run's cannot be opened.
    pub(super) fn used(&mut self, enough: Used) -> io::Result<Used> {
        let Some(first) = self.directories.first() else { return Ok(self.last) };
        let disk = statvfs(first)?;
        let (free, now) = ((disk.f_bfree, disk.f_ffree), Instant::now());
        if self.is_due(free, now) {
            self.last = walk(&self.directories, enough)?;
            self.walked(free, now, now.elapsed());
        }
        Ok(self.last)
    }

    fn is_due(&self, free: (u64, u64), now: Instant) -> bool {
        self.free != Some(free) && now >= self.next
    }

    fn walked(&mut self, free: (u64, u64), began: Instant, took: Duration) {
        (self.free, self.next) = (Some(free), began + took * REST);
    }
}

struct Walk {
    used: Used,
    enough: Used,
    /// Files with several names that were counted by one of them.
    counted: HashSet<(u64, u64)>,
}

fn walk(directories: &[PathBuf], enough: Used) -> io::Result<Used> {
    let mut walk = Walk { used: Used::default(), enough, counted: HashSet::new() };
    for directory in directories {
        match open(CWD, directory) {
            // It was removed, or is a link by now: that is not followed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
            Ok(root) => walk.tree(root)?,
        }
    }
    Ok(walk.used)
}

impl Walk {
    fn tree(&mut self, root: OwnedFd) -> io::Result<()> {
        let device = rustix::fs::fstat(&root)?.st_dev;
        self.used.files += 1;
        let mut open_now = vec![Dir::new(root)?];
        while let Some(directory) = open_now.last_mut() {
            let Some(entry) = directory.read() else {
                open_now.pop();
                continue;
            };
            // A directory that is removed while it is read says so.
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let fd = directory.fd()?;
            let Ok(found) = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            self.count(&found);
            if self.is_enough() {
                return Ok(());
            }
            let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_directory && found.st_dev == device {
                // What cannot be opened is gone, no directory any more, or closed by its modes to a worker that is not root.
                if let Ok(below) = open(fd, name) {
                    if open_now.len() == DEEPEST {
                        self.used = Used { bytes: u64::MAX, files: u64::MAX };
                        return Ok(());
                    }
                    open_now.push(Dir::new(below)?);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, found: &Stat) {
        let has_names = found.st_nlink > 1 && FileType::from_raw_mode(found.st_mode) != FileType::Directory;
        if has_names && !self.counted.insert((found.st_dev, found.st_ino)) {
            return;
        }
        self.used.files += 1;
        self.used.bytes += found.st_blocks.cast_unsigned() * BLOCK;
    }

    fn is_enough(&self) -> bool {
        self.used.bytes > self.enough.bytes || self.used.files > self.enough.files
    }
}

fn open(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(at.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ALL: Used = Used { bytes: u64::MAX, files: u64::MAX };

    #[test]
    fn counts_what_is_allocated_once_and_nothing_outside() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::write(other.path().join("big"), vec![1; 1 << 20]).unwrap();
        let path = own.path().join("a/b");
        fs_err::create_dir_all(&path).unwrap();
        fs_err::write(path.join("file"), vec![1; 64 << 10]).unwrap();
        fs_err::hard_link(path.join("file"), own.path().join("same")).unwrap();
        symlink(other.path(), own.path().join("link")).unwrap();
        let hole = fs_err::File::create(own.path().join("hole")).unwrap();
        hole.set_len(1 << 40).unwrap();

        let used = walk(&[own.path().to_owned(), own.path().join("link")], ALL).unwrap();
        assert_eq!(used.files, 6, "the directory, a, b, one file by two names, the link, the hole");
        assert!((64 << 10..128 << 10).contains(&used.bytes), "{used:?}");
    }

    #[test]
    fn a_walk_ends_where_it_has_seen_enough() {
        let own = tempfile::tempdir().unwrap();
        (0..100).for_each(|number| fs_err::write(own.path().join(number.to_string()), "").unwrap());
        let used = walk(&[own.path().to_owned()], Used { bytes: u64::MAX, files: 10 }).unwrap();
        assert_eq!(used.files, 11);
    }

    #[test]
    fn what_is_deeper_than_any_version_is_more_than_any_limit() {
        let own = tempfile::tempdir().unwrap();
        let mut at = open(CWD, own.path()).unwrap();
        for _ in 0..DEEPEST {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open(&at, "d").unwrap();
        }
        assert_eq!(walk(&[own.path().to_owned()], ALL).unwrap(), ALL);
    }

    #[test]
    fn a_disk_is_walked_when_it_has_changed_and_not_often() {
        let mut disk = Disk::new(Vec::new());
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        assert!(disk.is_due((5, 5), began), "never walked");
        disk.walked((5, 5), began, second);
        assert!(!disk.is_due((5, 5), began + second * 1000), "nothing has changed");
        assert!(!disk.is_due((4, 5), began + second * 49), "a walk of a second has to be followed by 49 without");
        assert!(disk.is_due((4, 5), began + second * 50) && disk.is_due((5, 4), began + second * 50));
    }
}
