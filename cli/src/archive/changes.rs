//! What differs between a directory and a version, and the archive of just that, as `PATCH …/files` takes it. What the version has
//! is told by its listing; contents are compared by their hash.
//!
//! What rules ignore is left out unless the version has it already, as Git does; what the caller excludes is neither sent nor removed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{self, Read as _, Write},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use drydock_domain::{IgnoreRules, RelativePath};
use tar::{Builder, EntryType, Header};

use super::{Exclude, Totals, put, walk};

/// The pax record of an entry that stands for a path to be removed, as the API has it.
const REMOVE: (&str, &[u8]) = ("DRYDOCK.remove", b"1");

/// What a version has at a path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Known {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
        /// BLAKE3 of its content, hex.
        blake3: String,
    },
    /// A link, and where to.
    Symlink(String),
    /// A directory.
    Dir,
}

/// What differs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Files and links that the version does not have.
    pub created: Vec<PathBuf>,
    /// Those that it has otherwise.
    pub modified: Vec<PathBuf>,
    /// Those that are gone.
    pub deleted: Vec<String>,
    /// Directories without anything to send in them that the version does not have.
    pub created_dirs: Vec<PathBuf>,
    /// Those without anything that are gone.
    pub deleted_dirs: Vec<String>,
    /// Entries that rules left out; a directory counts once.
    pub ignored: u64,
    dirs: Vec<PathBuf>,
    removals: Vec<String>,
}

impl Plan {
    /// Compares the tree below `root` with a version's files by path. Reads what has the size that the version knows.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn make(
        root: &Path,
        exclude: &Exclude,
        known: &HashMap<String, Known>,
        tell: &mut dyn FnMut(&str),
    ) -> io::Result<Self> {
        let (rules, flaws) = walk::rules(root)?;
        flaws.iter().for_each(|flaw| tell(&flaw.to_string()));
        let mut look =
            Look { root, exclude, rules, known, above: above(known), plan: Self::default(), seen: HashSet::new() };
        look.walk(tell)?;
        let Look { mut plan, seen, above, .. } = look;
        plan.created.sort_unstable();
        plan.modified.sort_unstable();
        plan.created_dirs = plan.leaves(known);
        let gone = known.keys().filter(|path| !seen.contains(*path) && !exclude.covers(Path::new(path)));
        let (dirs, mut files): (Vec<_>, Vec<_>) = gone.cloned().partition(|path| known[path] == Known::Dir);
        files.sort_unstable();
        plan.deleted = files;
        // What is excluded may lie in them.
        if exclude.is_empty() {
            plan.deleted_dirs = dirs.into_iter().filter(|path| !above.contains(path.as_str())).collect();
            plan.deleted_dirs.sort_unstable();
        }
        let gone = plan.deleted.iter().chain(&plan.deleted_dirs);
        let removals: BTreeSet<String> = gone.map(|path| topmost(root, exclude, path)).collect();
        plan.removals = removals.into_iter().collect();
        Ok(plan)
    }

    /// Of the directories that the version does not have those with nothing in them to send.
    fn leaves(&self, known: &HashMap<String, Known>) -> Vec<PathBuf> {
        let parents: HashSet<&Path> = self.created.iter().chain(&self.dirs).filter_map(|path| path.parent()).collect();
        let is_known = |path: &Path| path.to_str().and_then(|path| known.get(path)) == Some(&Known::Dir);
        let new = self.dirs.iter().filter(|path| !is_known(path) && !parents.contains(path.as_path()));
        let mut new: Vec<_> = new.cloned().collect();
        new.sort_unstable();
        new
    }

    /// Writes the archive of the changes. Directories are in it whether they changed or not: they cost little.
    ///
    /// # Errors
    /// A file cannot be read, or `out` fails.
    pub fn write(&self, root: &Path, out: impl Write) -> io::Result<Totals> {
        let puts = self.dirs.iter().chain(&self.created).chain(&self.modified);
        let totals = write_changes(root, &self.removals, puts, out, &mut |_, _| {})?;
        Ok(Totals { ignored: self.ignored, ..totals })
    }
}

/// Writes the archive that `PATCH …/files` takes: what goes, then what comes or differs. Tells of each path what of it was put.
///
/// # Errors
/// Something cannot be read, or `out` fails.
pub fn write_changes<'p>(
    root: &Path,
    removals: &[String],
    puts: impl Iterator<Item = &'p PathBuf>,
    out: impl Write,
    told: &mut dyn FnMut(&Path, Known),
) -> io::Result<Totals> {
    let mut builder = Builder::new(out);
    for path in removals {
        builder.append_pax_extensions([REMOVE])?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, io::empty())?;
    }
    let mut totals = Totals::default();
    for relative in puts {
        let absolute = root.join(relative);
        let metadata = fs_err::symlink_metadata(&absolute)?;
        let entry = walk::Entry { absolute, relative: relative.clone(), metadata };
        totals.files += u64::from(!entry.metadata.is_dir());
        let (bytes, what) = put(&mut builder, &entry)?;
        totals.bytes += bytes;
        told(relative, what);
    }
    builder.into_inner()?.flush()?;
    Ok(totals)
}

struct Look<'a> {
    root: &'a Path,
    exclude: &'a Exclude,
    rules: IgnoreRules,
    known: &'a HashMap<String, Known>,
    /// Directories that something of the version lies in.
    above: HashSet<&'a str>,
    plan: Plan,
    seen: HashSet<String>,
}

impl Look<'_> {
    /// A stack instead of recursion: trees may be deep. With each path goes whether a directory above it is ignored.
    fn walk(&mut self, tell: &mut dyn FnMut(&str)) -> io::Result<()> {
        let mut stack = vec![(PathBuf::new(), false)];
        while let Some((dir, ignored)) = stack.pop() {
            let mut names = fs_err::read_dir(self.root.join(&dir))?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort_unstable();
            for name in names {
                if let Some(deeper) = self.entry(dir.join(name), ignored, tell)? {
                    stack.push(deeper);
                }
            }
        }
        Ok(())
    }

    /// One entry; a directory to go on with.
    fn entry(
        &mut self,
        relative: PathBuf,
        ignored: bool,
        tell: &mut dyn FnMut(&str),
    ) -> io::Result<Option<(PathBuf, bool)>> {
        if self.exclude.holds(&relative) {
            return Ok(None);
        }
        let absolute = self.root.join(&relative);
        let kind = fs_err::symlink_metadata(&absolute)?;
        let text = relative.to_string_lossy().into_owned();
        // A path that no version can hold is for the server to refuse.
        let path = RelativePath::new(relative.as_os_str().as_bytes()).ok();
        if path.as_ref().is_some_and(RelativePath::is_protocol_file) {
            return Ok(None);
        }
        let ignored = ignored || path.is_some_and(|path| self.rules.matches(&path, kind.is_dir()));
        let was = self.known.get(&text);
        let was_dir = was == Some(&Known::Dir);
        let known =
            if kind.is_dir() { was_dir || self.above.contains(text.as_str()) } else { was.is_some() && !was_dir };
        if ignored && !known {
            self.plan.ignored += 1;
            return Ok(None);
        }
        if kind.is_dir() {
            if was_dir {
                self.seen.insert(text);
            }
            self.plan.dirs.push(relative.clone());
            return Ok(Some((relative, ignored)));
        }
        let now = match is(&absolute, &kind, was)? {
            Some(now) => now,
            None => {
                tell(&format!("left out '{}': it is no file, directory or symbolic link", relative.display()));
                return Ok(None);
            }
        };
        match (now, known) {
            (Now::Same, _) => {}
            (Now::Other, true) => self.plan.modified.push(relative),
            (Now::Other, false) => self.plan.created.push(relative),
        }
        self.seen.insert(text);
        Ok(None)
    }
}

enum Now {
    Same,
    Other,
}

/// Whether a file or link is as the version has it; `None` for anything else.
fn is(path: &Path, found: &std::fs::Metadata, known: Option<&Known>) -> io::Result<Option<Now>> {
    let same = match known {
        _ if !found.is_file() && !found.is_symlink() => return Ok(None),
        Some(Known::Symlink(target)) => {
            found.is_symlink() && fs_err::read_link(path)?.as_os_str().as_bytes() == target.as_bytes()
        }
        Some(Known::File { size, mode, blake3 }) => {
            let alike = found.is_file() && found.len() == *size && found.permissions().mode() & 0o777 == *mode;
            alike && hash(path)? == *blake3
        }
        Some(Known::Dir) | None => false,
    };
    Ok(Some(if same { Now::Same } else { Now::Other }))
}

/// BLAKE3 of a file's content, hex.
pub(crate) fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher, mut block) = (super::open(path)?, blake3::Hasher::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            read => hasher.update(&block[..read]),
        };
    }
}

/// The directories of these paths.
fn above(known: &HashMap<String, Known>) -> HashSet<&str> {
    let mut all = HashSet::new();
    for path in known.keys() {
        let mut rest = path.as_str();
        while let Some((dir, _)) = rest.rsplit_once('/') {
            if !all.insert(dir) {
                break;
            }
            rest = dir;
        }
    }
    all
}

/// What to remove where `path` is gone: the topmost directory that is gone with it. Where something is excluded, the file alone:
/// what is excluded may lie in the directory.
fn topmost(root: &Path, exclude: &Exclude, path: &str) -> String {
    let mut top = path;
    while let Some((dir, _)) = top.rsplit_once('/').filter(|_| exclude.is_empty()) {
        if fs_err::symlink_metadata(root.join(dir)).is_ok_and(|found| found.is_dir()) {
            break;
        }
        top = dir;
    }
    top.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(paths: &[(&str, &str)]) -> HashMap<String, Known> {
        let file = |text: &str| {
            let blake3 = blake3::hash(text.as_bytes()).to_hex().to_string();
            Known::File { size: text.len() as u64, mode: 0o644, blake3 }
        };
        paths.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        dir
    }

    fn plan(dir: &tempfile::TempDir, exclude: &[&str], known: &HashMap<String, Known>) -> Plan {
        let exclude = Exclude::new(exclude.iter().map(PathBuf::from));
        Plan::make(dir.path(), &exclude, known, &mut |_| {}).unwrap()
    }

    fn paths(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn what_differs_is_found_and_nothing_else() {
        let dir = tree(&[("same", "s"), ("sub/other", "new"), ("sub/mode", "m"), ("fresh/f", "f")]);
        fs_err::set_permissions(dir.path().join("sub/mode"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let was = known(&[
            ("same", "s"),
            ("sub/other", "old"),
            ("sub/mode", "m"),
            ("gone/a/b", ""),
            ("gone/c", ""),
            ("sub/x", ""),
        ]);
        let plan = plan(&dir, &[], &was);
        assert_eq!(paths(&plan.created), ["fresh/f"]);
        assert_eq!(paths(&plan.modified), ["sub/mode", "sub/other"]);
        assert_eq!(plan.deleted, ["gone/a/b", "gone/c", "sub/x"]);
        assert_eq!(plan.removals, ["gone", "sub/x"]);
    }

    #[test]
    fn links_that_lead_out_and_empty_directories_are_compared_as_well() {
        let dir = tree(&[("kept/f", ""), ("was_dir", "x"), ("was_file/f", "x")]);
        for path in ["empty", "new/empty"] {
            fs_err::create_dir_all(dir.path().join(path)).unwrap();
        }
        for (path, target) in [("same", "/etc/passwd"), ("other", "../x"), ("fresh", "/")] {
            std::os::unix::fs::symlink(target, dir.path().join(path)).unwrap();
        }
        let mut was = known(&[("kept/f", ""), ("was_file", "x")]);
        let link = |target: &str| Known::Symlink(target.to_owned());
        was.extend(
            [("same", "/etc/passwd"), ("other", "/x"), ("gone", "../x")].map(|(path, to)| (path.to_owned(), link(to))),
        );
        for path in ["kept", "empty", "was_dir", "old", "old/empty", "kept/old"] {
            was.insert(path.to_owned(), Known::Dir);
        }
        let all = plan(&dir, &[], &was);
        assert_eq!(paths(&all.created), ["fresh", "was_dir", "was_file/f"]);
        assert_eq!(paths(&all.modified), ["other"]);
        assert_eq!(paths(&all.created_dirs), ["new/empty"]);
        assert_eq!(all.deleted, ["gone", "was_file"]);
        assert_eq!(all.deleted_dirs, ["kept/old", "old/empty"]);
        assert_eq!(all.removals, ["gone", "kept/old", "old", "was_file"]);
        let some = plan(&dir, &["anything"], &was);
        assert_eq!((some.deleted_dirs.len(), some.removals), (0, vec!["gone".to_owned(), "was_file".to_owned()]));
    }

    #[test]
    fn what_is_ignored_stays_as_the_version_has_it() {
        let dir = tree(&[
            (".drydockignore", "/target/\n*.log\n"),
            ("target/kept", "new"),
            ("target/fresh", "x"),
            ("a.log", "x"),
            (".codex/result.json", "{}"),
        ]);
        let was = known(&[("target/kept", "old"), (".codex/request.json", "{}")]);
        let plan = plan(&dir, &[], &was);
        assert_eq!(paths(&plan.created), [".drydockignore"]);
        assert_eq!(paths(&plan.modified), ["target/kept"]);
        assert_eq!(plan.ignored, 2);
    }

    #[test]
    fn what_is_excluded_is_neither_sent_nor_removed() {
        let dir = tree(&[("build/new", "x"), ("a", "x")]);
        let was = known(&[("build/old", ""), ("gone/build/old", ""), ("gone/b", "")]);
        let plan = plan(&dir, &["build"], &was);
        assert_eq!(
            (paths(&plan.created), &plan.deleted, &plan.removals),
            (vec!["a"], &vec!["gone/b".to_owned()], &vec!["gone/b".to_owned()])
        );
    }
}
