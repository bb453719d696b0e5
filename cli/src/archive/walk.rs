//! Walking a directory: depth first, names in byte order, no link followed. What its `.drydockignore` ignores stays where it is: nothing
//! of it is in a version yet, so nothing is tracked.

use std::{
    ffi::OsString,
    fs::Metadata,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use drydock_domain::{IGNORE_FILE, IgnoreFlaw, IgnoreRules, RelativePath};

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files and symbolic links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Entries that rules left out; a directory counts once.
    pub ignored: u64,
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

    /// Whether nothing is left out.
    pub(super) const fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    /// Whether `relative` or a directory above it is left out.
    pub(super) fn covers(&self, relative: &Path) -> bool {
        relative.ancestors().any(|path| !path.as_os_str().is_empty() && self.holds(path))
    }

    pub(super) fn holds(&self, relative: &Path) -> bool {
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

/// Calls `take` with everything below `root`, each directory before what it holds; answers how much is ignored.
pub(super) fn each(
    root: &Path,
    exclude: &Exclude,
    rules: &IgnoreRules,
    take: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> io::Result<u64> {
    let mut ignored = 0;
    let mut children = |parent: &Path| children(root, parent, exclude, rules, &mut ignored);
    // A stack instead of recursion: trees may be deep.
    let mut stack = children(Path::new(""))?;
    while let Some(relative) = stack.pop() {
        let absolute = root.join(&relative);
        let metadata = fs_err::symlink_metadata(&absolute)?;
        let is_dir = metadata.is_dir();
        take(Entry { absolute, relative: relative.clone(), metadata })?;
        if is_dir {
            stack.extend(children(&relative)?);
        }
    }
    Ok(ignored)
}

/// The rules of a tree, and what of them is not heeded.
pub(crate) fn rules(root: &Path) -> io::Result<(IgnoreRules, Vec<IgnoreFlaw>)> {
    let path = root.join(IGNORE_FILE);
    match fs_err::symlink_metadata(&path) {
        Ok(found) if found.is_file() => Ok(IgnoreRules::parse(&fs_err::read(&path)?)),
        Ok(_) => Ok((IgnoreRules::built_in(), vec![IgnoreFlaw::NoFile])),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((IgnoreRules::built_in(), Vec::new())),
        Err(error) => Err(error),
    }
}

/// Last name first, as a stack wants them.
fn children(
    root: &Path,
    parent: &Path,
    exclude: &Exclude,
    rules: &IgnoreRules,
    ignored: &mut u64,
) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root.join(parent))? {
        let entry = entry?;
        let relative = parent.join(entry.file_name());
        if exclude.holds(&relative) {
            continue;
        }
        // A path that no version can hold is for the server to refuse.
        let path = RelativePath::new(relative.as_os_str().as_bytes()).ok();
        let is_dir = entry.file_type()?.is_dir();
        if path.is_some_and(|path| rules.matches(&path, is_dir)) {
            *ignored += 1;
        } else {
            names.push(relative);
        }
    }
    names.sort_unstable_by(|a, b| b.as_os_str().as_bytes().cmp(a.as_os_str().as_bytes()));
    Ok(names)
}
