//! What a run's directories take on their disk. Names are resolved one at a time from open directories, links never followed: the run may change
//! all of it meanwhile, and nothing outside is counted for it.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat, statvfs},
    io::Errno,
};

/// A walk is followed by so many times its length without one.
const REST: u32 = 50;
/// And never by more.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Directories that are open at once: what is deeper is opened anew from the top.
const OPEN: usize = 32;
/// Longest path that is opened so. A version holds none that is longer.
const LONGEST: usize = 4095;
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
    pub(super) fn used(&mut self, enough: Used, stop: &AtomicBool) -> io::Result<Used> {
        let Some(first) = self.directories.first() else { return Ok(self.last) };
        let disk = statvfs(first)?;
        let (free, now) = ((disk.f_bfree, disk.f_ffree), Instant::now());
        if self.is_due(free, now) {
            let used = walk(&self.directories, enough, stop);
            self.walked(free, now, now.elapsed());
            self.last = used?;
        }
        Ok(self.last)
    }

    fn is_due(&self, free: (u64, u64), now: Instant) -> bool {
        self.free != Some(free) && now >= self.next
    }

    fn walked(&mut self, free: (u64, u64), began: Instant, took: Duration) {
        (self.free, self.next) = (Some(free), began + (took * REST).min(took + LONGEST_REST));
    }
}

/// More than any limit.
const TOO_DEEP: Used = Used { bytes: u64::MAX, files: u64::MAX };

struct Walk<'a> {
    used: Used,
    enough: Used,
    stop: &'a AtomicBool,
    /// Files with several names that were counted by one of them.
    counted: HashSet<(u64, u64)>,
}

fn walk(directories: &[PathBuf], enough: Used, stop: &AtomicBool) -> io::Result<Used> {
    let mut walk = Walk { used: Used::default(), enough, stop, counted: HashSet::new() };
    for directory in directories {
        let Some(root) = opened(open(CWD, directory.as_path()))? else { continue };
        walk.used.files += 1;
        let mut tops = vec![Vec::new()];
        while let Some(top) = tops.pop() {
            let Some(from) = opened(again(&root, &top))? else { continue };
            walk.below(from, &top, &mut tops)?;
            if walk.is_enough() || walk.stop.load(Ordering::Relaxed) {
                return Ok(walk.used);
            }
        }
    }
    Ok(walk.used)
}

impl Walk<'_> {
    /// Counts what is below the directory at `top`; what is too deep to be held open with it is left in `tops`.
    fn below(&mut self, directory: OwnedFd, top: &[u8], tops: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let device = rustix::fs::fstat(&directory)?.st_dev;
        let mut held = vec![(Dir::new(directory)?, top.to_vec())];
        loop {
            let open_now = held.len();
            let Some((directory, path)) = held.last_mut() else { return Ok(()) };
            let Some(entry) = directory.read() else {
                held.pop();
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
            if self.is_enough() || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if FileType::from_raw_mode(found.st_mode) != FileType::Directory || found.st_dev != device {
                continue;
            }
            let deeper = [path.as_slice(), name.to_bytes()].join(&b'/');
            if deeper.len() > LONGEST {
                self.used = TOO_DEEP;
                return Ok(());
            }
            if open_now == OPEN {
                tops.push(deeper);
            } else if let Some(below) = opened(open(fd, name))? {
                held.push((Dir::new(below)?, deeper));
            }
        }
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

/// None of what is gone, no directory any more, a link by now, or closed by its modes to a worker that is not root.
fn opened(opened: rustix::io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::XDEV) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(at, name, DIRECTORY, Mode::empty())
}

/// A directory below `root`, itself by an empty path.
fn again(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = if path.is_empty() { b"." } else { path };
    openat2(root, path, DIRECTORY, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What no directory has.
    const ALL: Used = Used { bytes: u64::MAX - 1, files: u64::MAX - 1 };
    static GO_ON: AtomicBool = AtomicBool::new(false);

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

        let used = walk(&[own.path().to_owned(), own.path().join("link")], ALL, &GO_ON).unwrap();
        assert_eq!(used.files, 6, "the directory, a, b, one file by two names, the link, the hole");
        assert!((64 << 10..128 << 10).contains(&used.bytes), "{used:?}");
    }

    #[test]
    fn a_walk_ends_where_it_has_seen_enough() {
        let own = tempfile::tempdir().unwrap();
        (0..100).for_each(|number| fs_err::write(own.path().join(number.to_string()), "").unwrap());
        let used = walk(&[own.path().to_owned()], Used { bytes: u64::MAX, files: 10 }, &GO_ON).unwrap();
        assert_eq!(used.files, 11);
    }

    #[test]
    fn any_depth_is_walked_by_few_descriptors_and_none_hides_what_else_there_is() {
        let (own, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::write(home.path().join("file"), "x").unwrap();
        let mut at = open(CWD, own.path()).unwrap();
        let mut deeper = |levels: usize| {
            for _ in 0..levels {
                rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
                at = open(&at, "d").unwrap();
            }
        };
        let both = [own.path().to_owned(), home.path().to_owned()];
        deeper(100);
        assert_eq!(walk(&both, ALL, &GO_ON).unwrap().files, 103);
        deeper(2000);
        assert_eq!(walk(&both, Used { bytes: 1, files: u64::MAX }, &GO_ON).unwrap().files, 2, "enough at the first");
        assert_eq!(walk(&both, ALL, &GO_ON).unwrap(), TOO_DEEP, "deeper than any version");
    }

    #[test]
    fn a_disk_is_walked_when_it_has_changed_and_not_often() {
        let mut disk = Disk::new(Vec::new());
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        assert!(disk.is_due((5, 5), began), "never walked");
        disk.walked((5, 5), began, second);
        assert!(!disk.is_due((5, 5), began + second * 1000), "nothing has changed");
        assert!(!disk.is_due((4, 5), began + second * 30), "a walk of a second is followed by 30 without");
        assert!(disk.is_due((4, 5), began + second * 31) && disk.is_due((5, 4), began + second * 31));
        disk.walked((5, 5), began, second / 100);
        assert!(!disk.is_due((4, 5), began + second / 3) && disk.is_due((4, 5), began + second / 2));
    }
}
