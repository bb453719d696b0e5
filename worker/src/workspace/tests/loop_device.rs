//! File systems on loop devices: one that shares blocks, for the rung that needs it, and small ones, to be filled. Making them
//! takes root, as the tests have.

use std::{os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use rustix::fs::statvfs;
use tempfile::TempDir;

/// XFS makes none smaller.
const XFS_BYTES: u64 = 400 << 20;

const EXT4: &[&str] = &["-q", "-m", "0", "-b", "4096", "-N", "16000", "-I", "256", "-O"];

/// Unmounted when dropped.
pub(super) struct LoopDevice {
    place: TempDir,
}

impl LoopDevice {
    pub(super) fn xfs() -> Self {
        Self::new(XFS_BYTES, "mkfs.xfs", &["-q", "-m", "reflink=1"])
    }

    /// With inodes enough, no journal, and no blocks for root alone.
    pub(super) fn ext4(bytes: u64) -> Self {
        Self::new(bytes, "mkfs.ext4", &[EXT4, &["^has_journal"]].concat())
    }

    /// One that cannot reserve blocks before they are written.
    pub(super) fn ext4_without_extents(bytes: u64) -> Self {
        Self::new(bytes, "mkfs.ext4", &[EXT4, &["^has_journal,^extent,^64bit"]].concat())
    }

    fn new(bytes: u64, program: &str, arguments: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        fs_err::File::create(&image).unwrap().set_len(bytes).unwrap();
        run(program, &[arguments, &[image.to_str().unwrap()]].concat());
        let device = Self { place };
        fs_err::create_dir(device.path()).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), device.path().to_str().unwrap()]);
        device
    }

    pub(super) fn path(&self) -> PathBuf {
        self.place.path().join("mounted")
    }

    /// Bytes of the disk that what is below `directory` takes.
    pub(super) fn used_by(&self, directory: &str) -> u64 {
        let mut pending = vec![self.path().join(directory)];
        let mut bytes = 0;
        while let Some(directory) = pending.pop() {
            for entry in fs_err::read_dir(directory).unwrap().map(Result::unwrap) {
                let metadata = entry.metadata().unwrap();
                bytes += metadata.blocks() * 512;
                pending.extend(metadata.is_dir().then(|| entry.path()));
            }
        }
        bytes
    }

    /// Takes all space but `left` bytes, to a block, until the answer is dropped.
    pub(super) fn fill(&self, left: u64) -> Ballast {
        let ballast = Ballast { path: self.path().join("ballast") };
        fs_err::create_dir(&ballast.path).unwrap();
        let mut number = 0;
        while self.free() > left {
            // The last ones of a block each: bigger ones take blocks that say where the others are as well.
            let len = if self.free() - left > 2 << 20 { 1 << 20 } else { 4096 };
            number += 1;
            let _full = fs_err::write(ballast.path.join(number.to_string()), vec![1; len]);
        }
        while self.free() < left {
            fs_err::remove_file(ballast.path.join(number.to_string())).unwrap();
            number -= 1;
        }
        assert_eq!(self.free(), left);
        ballast
    }

    fn free(&self) -> u64 {
        let stat = statvfs(self.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.path().to_str().unwrap()]);
    }
}

/// Somebody else's files that take the space.
pub(super) struct Ballast {
    path: PathBuf,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _with_its_file_system = fs_err::remove_dir_all(&self.path);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{program} {arguments:?} failed: xfsprogs, e2fsprogs and root are needed"
    );
}
