//! What the folder has. No link is followed, and what looks as it did when it was last read is not read again.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    ignored::{Ignored, is_own},
    index::{Root, Seen, Stat},
};
use crate::archive::{self, Known};

/// A file that changed within this before it was read may change again without showing it.
const TICK: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Everything there is, by path; of what does not go up only what was asked for.
    pub(crate) seen: HashMap<String, Seen>,
    /// Paths that could not be read; nothing is decided about them, nor about what is below them.
    pub(crate) unclear: HashSet<String>,
    /// What people should know, one line each.
    pub(crate) notes: Vec<String>,
    /// The folder's rules.
    pub(crate) ignored: Ignored,
    /// The folder itself.
    pub(crate) root: Root,
}

impl Scan {
    /// Whether a path or one above it could not be read.
    pub(crate) fn is_unclear(&self, path: &str) -> bool {
        !self.unclear.is_empty()
            && path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]).any(|path| self.unclear.contains(path))
    }
}

/// Looks at everything below `root`; of what does not go up at `also` alone. `before` is what was seen last.
///
/// # Errors
/// The folder itself cannot be read. What cannot be read in it is in the answer.
pub(crate) fn scan(root: &Path, before: &HashMap<String, Seen>, also: &HashSet<String>) -> io::Result<Scan> {
    let (ignored, flaws) = Ignored::of(root)?;
    let mut scan = Scan {
        seen: HashMap::new(),
        unclear: HashSet::new(),
        notes: flaws.iter().map(ToString::to_string).collect(),
        ignored,
        root: Root::of(&fs_err::symlink_metadata(root)?),
    };
    let mut stack = vec![(root.to_owned(), fs_err::read_dir(root)?, String::new())];
    while let Some((at, entries, above)) = stack.pop() {
        for entry in entries {
            let Some(name) = scan.name(entry.map(|entry| entry.file_name()), &above)? else { continue };
            let Some(name) = name.to_str() else {
                let path = at.join(&name);
                scan.notes.push(format!("left out '{}': its name is not UTF-8", path.display()));
                continue;
            };
            let (absolute, path) = (at.join(name), format!("{above}{name}"));
            if scan.look(&absolute, &path, before, false) == Some(Known::Dir) {
                match fs_err::read_dir(&absolute) {
                    Ok(entries) => stack.push((absolute, entries, path + "/")),
                    Err(error) => scan.fails(&path, &error),
                }
            }
        }
    }
    for path in also {
        if scan.ignored.covers(path, false) && !scan.seen.contains_key(path) && is_reached(root, path) {
            scan.look(&root.join(path), path, before, true);
        }
    }
    Ok(scan)
}

impl Scan {
    /// Notes what is at a path; tells what, unless it does not go up.
    fn look(&mut self, absolute: &Path, path: &str, before: &HashMap<String, Seen>, any: bool) -> Option<Known> {
        let meta = match fs_err::symlink_metadata(absolute) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.fails(path, &error);
                return None;
            }
        };
        if is_own(path) || !any && self.ignored.covers(path, meta.is_dir()) {
            return None;
        }
        match read(absolute, &meta, before.get(path)) {
            Ok(Some(seen)) => {
                let known = seen.known.clone();
                self.seen.insert(path.to_owned(), seen);
                Some(known)
            }
            Ok(None) => {
                self.notes.push(format!("left out '{path}': it is no file, directory or symbolic link"));
                None
            }
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.fails(path, &error);
                None
            }
        }
    }

    /// The name of an entry below `above`. What was not listed is not gone.
    fn name(&mut self, listed: io::Result<OsString>, above: &str) -> io::Result<Option<OsString>> {
        match listed {
            Ok(name) => Ok(Some(name)),
            Err(error) if above.is_empty() => Err(error),
            Err(error) => {
                self.fails(above.trim_end_matches('/'), &error);
                Ok(None)
            }
        }
    }

    fn fails(&mut self, path: &str, error: &io::Error) {
        self.notes.push(format!("left as it is: {error}"));
        self.unclear.insert(path.to_owned());
    }
}

fn read(path: &Path, meta: &std::fs::Metadata, before: Option<&Seen>) -> io::Result<Option<Seen>> {
    if meta.is_dir() {
        return Ok(Some(Seen { known: Known::Dir, stat: None }));
    }
    if meta.is_symlink() {
        let target = fs_err::read_link(path)?.to_string_lossy().into_owned();
        return Ok(Some(Seen { known: Known::Symlink(target), stat: None }));
    }
    if !meta.is_file() {
        return Ok(None);
    }
    let stat = Stat::of(meta);
    if let Some(before) = before.filter(|before| before.stat == Some(stat)) {
        return Ok(Some(before.clone()));
    }
    let settled = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos())
        .is_ok_and(|now| stat.changed() < now - i64::try_from(TICK.as_nanos()).unwrap_or_default());
    let blake3 = archive::hash(path)?;
    let after = Stat::of(&fs_err::symlink_metadata(path)?);
    let known = Known::File { size: meta.len(), mode: meta.mode() & 0o777, blake3 };
    Ok(Some(Seen { known, stat: (settled && after == stat).then_some(stat) }))
}

/// Whether the directories above a path are directories, and no links.
pub(crate) fn is_reached(root: &Path, path: &str) -> bool {
    let mut at = PathBuf::from(root);
    let above = path.rsplit_once('/').map(|(above, _)| above.split('/'));
    above.into_iter().flatten().all(|name| {
        at.push(name);
        fs_err::symlink_metadata(&at).is_ok_and(|meta| meta.is_dir())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths(scan: &Scan) -> Vec<&str> {
        let mut paths: Vec<&str> = scan.seen.keys().map(String::as_str).collect();
        paths.sort_unstable();
        paths
    }

    #[test]
    fn links_are_not_followed_and_ignored_things_are_seen_only_where_asked_for() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::write(outside.path().join("secret"), "s").unwrap();
        for (path, text) in [("a/b", "b"), (".env", "e"), ("node_modules/p", "p"), (".git/HEAD", "h")] {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        symlink(outside.path(), dir.path().join("out")).unwrap();
        let none = HashMap::new();
        assert_eq!(paths(&scan(dir.path(), &none, &HashSet::new()).unwrap()), ["a", "a/b", "out"]);
        let also = [".env", ".git/HEAD", ".gone", "out/secret"].map(str::to_owned).into();
        assert_eq!(paths(&scan(dir.path(), &none, &also).unwrap()), [".env", "a", "a/b", "out"]);
    }

    #[test]
    fn what_cannot_be_listed_is_not_taken_for_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut scan = scan(dir.path(), &HashMap::new(), &HashSet::new()).unwrap();
        let broken = || Err(io::Error::other("broken"));
        assert!(scan.name(broken(), "").is_err(), "nothing at all is known of the folder");
        assert_eq!(scan.name(broken(), "a/b/").unwrap(), None);
        assert!(scan.is_unclear("a/b/c") && !scan.is_unclear("a/c"));
    }

    #[test]
    fn what_was_just_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs_err::write(&path, "one").unwrap();
        let first = scan(dir.path(), &HashMap::new(), &HashSet::new()).unwrap();
        assert_eq!(first.seen["f"].stat, None, "it may change within the same tick");
        let old = SystemTime::now() - Duration::from_secs(60);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        std::thread::sleep(TICK * 2);
        let second = scan(dir.path(), &first.seen, &HashSet::new()).unwrap();
        assert!(second.seen["f"].stat.is_some());
        let lie = Seen { known: Known::Symlink("as remembered".to_owned()), ..second.seen["f"].clone() };
        let third = scan(dir.path(), &HashMap::from([("f".to_owned(), lie.clone())]), &HashSet::new()).unwrap();
        assert_eq!(third.seen["f"], lie, "not read");
        fs_err::write(&path, "two").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let fourth = scan(dir.path(), &second.seen, &HashSet::new()).unwrap();
        assert_ne!(fourth.seen["f"].known, second.seen["f"].known, "whatever time it is given");
    }
}
