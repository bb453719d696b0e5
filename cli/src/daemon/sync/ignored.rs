//! Which paths of the folder do not go up, and which are nobody's but the folder's.

use std::{io, path::Path};

use drydock_domain::{IgnoreFlaw, IgnoreRules, RelativePath};

use crate::archive;

/// Names that do not go up, at any depth; beside those that begin with a dot.
const NAMES: [&str; 3] = ["node_modules", "dist", "build"];
/// Hidden folders of which nothing comes down either: each side has its own.
const OWN: [&str; 2] = [".git", ".codex"];

/// Rules at work.
#[derive(Clone, Debug)]
pub(crate) struct Ignored(IgnoreRules);

impl Ignored {
    /// Those of the folder, and what of its ignore file is not heeded.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn of(root: &Path) -> io::Result<(Self, Vec<IgnoreFlaw>)> {
        let (rules, flaws) = archive::rules(root)?;
        Ok((Self(rules), flaws))
    }

    /// Whether a path does not go up, by itself or by a directory it lies in.
    pub(crate) fn covers(&self, path: &str, is_dir: bool) -> bool {
        is_fixed(path) || self.by_rule(path, is_dir)
    }

    fn by_rule(&self, path: &str, is_dir: bool) -> bool {
        let above = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        above
            .chain([(path, is_dir)])
            .any(|(path, is_dir)| RelativePath::new(path).is_ok_and(|path| self.0.matches(&path, is_dir)))
    }
}

/// Whether a path does not go up whatever the folder's rules say.
pub(crate) fn is_fixed(path: &str) -> bool {
    path != drydock_domain::IGNORE_FILE && path.split('/').any(|name| name.starts_with('.') || NAMES.contains(&name))
}

/// Whether a path is nobody's but the folder's.
pub(crate) fn is_own(path: &str) -> bool {
    path.split('/').any(|name| OWN.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_made_things_do_not_go_up() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(".drydockignore"), "*.log\n/out/\n").unwrap();
        let (ignored, flaws) = Ignored::of(dir.path()).unwrap();
        assert!(flaws.is_empty());
        for path in [".env", "a/.x/b", "node_modules/p/i.js", "web/dist/a", "build", "a/b.log", "out/x/y", ".codex/r"] {
            assert!(ignored.covers(path, false), "{path}");
        }
        for path in ["a", "src/builder.rs", "distance", "sub/out/x", ".drydockignore"] {
            assert!(!ignored.covers(path, false), "{path}");
        }
        assert!(is_own("a/.git/HEAD") && is_own(".codex") && !is_own(".gitignore"));
    }
}
