//! The trees that are moved: generated ones, the same each time, and real ones.

use std::{
    io,
    path::{Path, PathBuf},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// Bytes of small files, as sources are: half are below 4 KB, one in twenty-five above 100 KB, 20 KB on average.
const SIZES: [usize; 25] = [
    300, 900, 1_200, 1_500, 2_000, 2_200, 2_500, 2_800, 3_000, 3_300, 3_600, 4_000, 4_500, 5_000, 6_000, 7_000, 9_000,
    11_000, 14_000, 18_000, 24_000, 32_000, 48_000, 70_000, 160_000,
];
const FILES_A_DIRECTORY: usize = 7;

pub(super) struct Tree {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// Three files in different places, to be changed.
    pub(super) some: Vec<PathBuf>,
}

/// A tree of so many files, three directories deep; half of each file compresses.
pub(super) fn generated(directory: &Path, files: usize) -> io::Result<Tree> {
    let path = directory.join(format!("tree-{files}"));
    let mut random = StdRng::seed_from_u64(files as u64);
    let mut content = Vec::new();
    for number in 0..files {
        let below = number / FILES_A_DIRECTORY;
        let directory = path.join(format!("m{}/n{}/d{below}", below % 13, below % 101));
        fs_err::create_dir_all(&directory)?;
        let len = SIZES[number % SIZES.len()];
        content.resize(len, b' ');
        random.fill(&mut content[..len / 2]);
        fs_err::write(directory.join(format!("f{number}.rs")), &content)?;
    }
    existing(&format!("{files} generated files"), &path)
}

/// One that is there.
pub(super) fn existing(name: &str, path: &Path) -> io::Result<Tree> {
    let mut files = Vec::new();
    let mut bytes = 0;
    let mut pending = vec![path.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs_err::read_dir(&directory)? {
            let entry = entry?;
            let metadata = fs_err::symlink_metadata(entry.path())?;
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.is_file() {
                bytes += metadata.len();
                files.push(entry.path().strip_prefix(path).map_err(io::Error::other)?.to_owned());
            }
        }
    }
    files.sort_unstable();
    let some = [1, 2, 3].map(|quarter| files[files.len() * quarter / 4].clone()).into();
    Ok(Tree { name: name.to_owned(), path: path.to_owned(), files: files.len(), bytes, some })
}
