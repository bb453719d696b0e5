//! Walking a directory: depth first, names in byte order, no link followed. What its `.drydockignore` ignores stays where it is: nothing
//! of it is in a version yet, so nothing is tracked.

use std::{
    ffi::OsString,
    fs::Metadata,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use drydock_domain::{IGNORE_FILE, IGNORE_FILE_MAX, IgnoreFlaw, IgnoreRules, RelativePath};
use drydock_files::{FileError, Links, Opened, Root};

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files and symbolic links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Entries that were left out, by rules or as Git's own; of those sent, a directory counts once.
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

/// The rules of a tree, and what of them is not heeded. The file may be of any size and kind: an agent works in the daemon's folder.
pub(crate) fn rules(root: &Path) -> io::Result<(IgnoreRules, Vec<IgnoreFlaw>)> {
    let name = RelativePath::new(IGNORE_FILE).map_err(io::Error::other)?;
    // The folder's own path may be a link: it is the user's.
    let opened = Root::at(&fs_err::canonicalize(root)?).and_then(|root| root.open(&name, Links::None));
    match opened {
        Ok(Opened::File(file)) => Ok(IgnoreRules::parse(&file.head(IGNORE_FILE_MAX as u64 + 1)?)),
        Ok(_) => Ok((IgnoreRules::built_in(), vec![IgnoreFlaw::NoFile])),
        Err(FileError::NotFound) => Ok((IgnoreRules::built_in(), Vec::new())),
        Err(error) => Err(io::Error::new(io::Error::from(error).kind(), format!("'{IGNORE_FILE}': {error}"))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignore_file_of_any_size_or_kind_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(IGNORE_FILE);
        assert_eq!(rules(dir.path()).unwrap().1, []);
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(rules(dir.path()).unwrap().1, [IgnoreFlaw::TooLong]);
        fs_err::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(rules(dir.path()).unwrap().1, [IgnoreFlaw::NoFile]);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert_eq!(rules(&link).unwrap().1, [IgnoreFlaw::NoFile], "the folder itself may be a link");
    }
}
