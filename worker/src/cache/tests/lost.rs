//! What the disk did not take.

use std::{os::fd::AsFd as _, process::Command};

use rustix::mount::MountAttrFlags;

use super::*;
use crate::mount::{self, Mounting};

/// A disk that says it is bigger than it is: ext4 in a sparse file on a small tmpfs. Writes go well until they reach the disk.
struct Overpromised(TempDir);

impl Overpromised {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mounting = Mounting::of("tmpfs").unwrap().option("size", "24m");
        mounting.mount(mount::handle(place.path()).unwrap().as_fd(), MountAttrFlags::empty()).unwrap();
        let disk = Self(place);
        let image = disk.0.path().join("image");
        fs_err::File::create(&image).unwrap().set_len(128 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-O", "^has_journal", "-N", "12000", image.to_str().unwrap()]);
        fs_err::create_dir(disk.path()).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), disk.path().to_str().unwrap()]);
        disk
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("mounted")
    }
}

impl Drop for Overpromised {
    fn drop(&mut self) {
        // One that was not made is not mounted.
        for path in [self.path(), self.0.path().to_owned()] {
            let _not_there = Command::new("umount").arg("--lazy").arg(path).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{program} {arguments:?} failed: e2fsprogs and root are needed"
    );
}

/// Red when a failed sync leaves the data file trusted: the kernel gives up its pages and reads what the disk has instead.
#[tokio::test]
async fn what_the_disk_did_not_take_is_fetched_again() {
    let storage = storage();
    let disk = Overpromised::new();
    let big = version(&storage, &[("f", noise(50, 40 << 20))]).await;
    let cache = open(&disk.path().join("cache"), UNLIMITED, &storage);
    drop(cache.load(TENANT, &big).await.unwrap());
    let place = disk.path().join("cache");
    drydock_testing::until("the disk refuses it", Duration::from_secs(60), || async {
        data_files(&place).iter().all(|path| path.extension().is_none()).then_some(())
    })
    .await;
    // The disk may refuse what was fetched again before the load that wanted it is over, which then fetches once more: every miss but
    // the first is one for what was lost.
    let counts = || (cache.inner.metrics.misses.get(), cache.inner.metrics.damaged.get());
    let (first, lost) = counts();
    assert_eq!(first, lost + 1);
    drop(cache.load(TENANT, &big).await.unwrap());
    let (second, lost) = counts();
    assert!(second > first && second == lost + 1, "{second} misses, {lost} lost");
}
