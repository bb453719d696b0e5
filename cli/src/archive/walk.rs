//! Walking a directory: depth first, names in byte order, no link followed.

use std::{
    ffi::OsString,
    fs::Metadata,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files and symbolic links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// What to leave out: a name wherever it occurs (`node_modules`), or a path from the top (`./target`, `docs/build`).
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    names: Vec<OsString>,
    paths: Vec<PathBuf>,
}

impl Exclude {
    /// Reads what the command line gives.
    pub fn new(given: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut exclude = Self::default();
        for path in given {
            if path.as_os_str().as_bytes().contains(&b'/') {
                // Without `./` before and `/` after it.
                exclude.paths.push(path.components().filter(|part| *part != std::path::Component::CurDir).collect());
            } else {
                exclude.names.push(path.into_os_string());
            }
        }
        exclude
    }

    fn holds(&self, relative: &Path) -> bool {
        relative.file_name().is_some_and(|name| self.names.iter().any(|known| known == name))
            || self.paths.iter().any(|known| known == relative)
    }
}

pub(super) struct Entry {
    pub(super) absolute: PathBuf,
    pub(super) relative: PathBuf,
    /// Of the link itself, where it is one.
    pub(super) metadata: Metadata,
}

/// Calls `take` with everything below `root`, each directory before what it holds.
pub(super) fn each(root: &Path, exclude: &Exclude, take: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    // A stack instead of recursion: trees may be deep.
    let mut stack = children(root, Path::new(""), exclude)?;
    while let Some(relative) = stack.pop() {
        let absolute = root.join(&relative);
        let metadata = fs_err::symlink_metadata(&absolute)?;
        let is_dir = metadata.is_dir();
        take(Entry { absolute, relative: relative.clone(), metadata })?;
        if is_dir {
            stack.extend(children(root, &relative, exclude)?);
        }
    }
    Ok(())
}

/// Last name first, as a stack wants them.
fn children(root: &Path, parent: &Path, exclude: &Exclude) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root.join(parent))? {
        let relative = parent.join(entry?.file_name());
        if !exclude.holds(&relative) {
            names.push(relative);
        }
    }
    names.sort_unstable_by(|a, b| b.as_os_str().as_bytes().cmp(a.as_os_str().as_bytes()));
    Ok(names)
}
