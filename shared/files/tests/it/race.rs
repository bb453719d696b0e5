//! Somebody swaps what is looked for at full speed.

use std::{
    io::Read as _,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use drydock_domain::RelativePath;
use drydock_files::{FileError, Links, Opened, Root};
use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};

/// Of each case. An unoptimised build takes five seconds for more.
const OPENS: usize = if cfg!(debug_assertions) { 50_000 } else { 200_000 };
const CANARY: &str = "canary";

/// Outside a canary; inside, under the same names, a directory and a link to outside, a file, a link to outside and a pipe.
fn place(top: &Path) {
    for directory in ["outside", "tree/directory"] {
        fs_err::create_dir_all(top.join(directory)).unwrap();
        let content = if directory == "outside" { CANARY } else { "inside" };
        fs_err::write(top.join(directory).join("file"), content).unwrap();
    }
    symlink("../outside", top.join("tree/link")).unwrap();
    fs_err::write(top.join("tree/file"), "inside").unwrap();
    symlink("../outside/file", top.join("tree/file-link")).unwrap();
    mkfifoat(CWD, top.join("tree/pipe"), Mode::RWXU).unwrap();
}

/// Runs `work` while another thread swaps.
fn swapping<T>(tree: &Path, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let swap = |one: &str, other: &str| {
        renameat_with(CWD, tree.join(one), CWD, tree.join(other), RenameFlags::EXCHANGE).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                swap("directory", "link");
                swap("file", "file-link");
                swap("file", "pipe");
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Opens again and again; answers how often the file inside was read.
fn open_all(root: &Root, links: Links) -> usize {
    let paths: [RelativePath; 2] = ["directory/file", "file"].map(|path| path.parse().unwrap());
    let mut inside = 0;
    for turn in 0..OPENS {
        match root.open(&paths[turn % 2], links).and_then(Opened::into_file) {
            Ok(file) => {
                let mut text = String::new();
                file.reader().read_to_string(&mut text).unwrap();
                assert_eq!(text, "inside", "after {turn} opens");
                inside += 1;
            }
            Err(FileError::Outside | FileError::Link | FileError::UnsupportedType(_) | FileError::Moving) => {}
            Err(error) => panic!("after {turn} opens: {error}"),
        }
    }
    inside
}

#[test]
fn a_swapped_directory_or_file_never_leads_outside() {
    let place_of = tempfile::tempdir().unwrap();
    place(place_of.path());
    let tree = place_of.path().join("tree");
    let cases = [
        (Root::at(&tree).unwrap(), Links::None),
        (Root::at(&tree).unwrap(), Links::Inside),
        (Root::at(&tree).unwrap().without_openat2(), Links::None),
    ];
    for (root, links) in cases {
        let inside = swapping(&tree, || open_all(&root, links));
        assert!(inside > OPENS / 100, "the file was read {inside} times only");
    }
}

/// The positive control: whoever opens by path reads the canary, so a swap is in the way above.
#[test]
fn by_path_the_same_swap_leads_outside() {
    let place_of = tempfile::tempdir().unwrap();
    place(place_of.path());
    let tree = place_of.path().join("tree");
    let read = || fs_err::read(tree.join("directory/file")).is_ok_and(|bytes| bytes == CANARY.as_bytes());
    assert!(swapping(&tree, || (0..OPENS).any(|_| read())));
}
