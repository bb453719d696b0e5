//! A file system that shares blocks, on a loop device: for the rung that needs one. Making it takes root, as the tests have.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

/// XFS makes none smaller.
const BYTES: u64 = 400 << 20;

/// Unmounted when dropped.
pub(super) struct Xfs {
    place: TempDir,
}

impl Xfs {
    pub(super) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        fs_err::File::create(&image).unwrap().set_len(BYTES).unwrap();
        run("mkfs.xfs", &["-q", "-m", "reflink=1", image.to_str().unwrap()]);
        let xfs = Self { place };
        fs_err::create_dir(xfs.path()).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), xfs.path().to_str().unwrap()]);
        xfs
    }

    pub(super) fn path(&self) -> PathBuf {
        self.place.path().join("xfs")
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.path().to_str().unwrap()]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{program} {arguments:?} failed: xfsprogs and root are needed"
    );
}
