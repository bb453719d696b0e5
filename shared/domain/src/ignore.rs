//! `IgnoreRules`: which paths of a workspace stay out of its versions.
//!
//! Owns the syntax, that of `gitignore(5)` as ripgrep reads it: `{a,b}` means either, a `[` without its `]` is itself, and a
//! pattern that makes no sense is told, where Git lets it never match. Only one file counts, [`IGNORE_FILE`] at the top. The rules say what is *ignored*; that
//! what a version has already stays in it all the same is for those to heed who know the version.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt as _, sync::LazyLock};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use memchr::memmem;

use crate::RelativePath;

/// The file with a project's rules, at the top of its workspace.
pub const IGNORE_FILE: &str = ".drydockignore";
/// Most bytes of it that are heeded: each pattern becomes a part of one automaton.
pub const IGNORE_FILE_MAX: usize = 64 << 10;

/// What Git leaves of a command that was killed. Stored, a lock would fail every later command on every later version.
const BUILT_IN: [&str; 4] = [
    // Of the index, HEAD, the configuration, packed and shallow refs.
    "**/.git/*.lock",
    "**/.git/refs/**/*.lock",
    "**/.git/gc.pid",
    // Objects that never got their names.
    "**/.git/objects/**/tmp_*",
];

static BUILT_IN_ONLY: LazyLock<Gitignore> = LazyLock::new(|| {
    // A test sees that each of them is a pattern.
    with_built_in().build().unwrap_or_else(|_| Gitignore::empty())
});

/// Rules at work; cheap to clone.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    matcher: Gitignore,
    /// Whether there are others than the built-in ones, which all speak of `.git`.
    own: bool,
}

/// Something in the file that is not heeded; everything it may have meant is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoreFlaw {
    /// A line that is no pattern.
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// More than [`IGNORE_FILE_MAX`] bytes: none of it counts.
    TooLong,
    /// A directory, link or socket in the file's place.
    NoFile,
}

impl IgnoreRules {
    /// Those that hold everywhere.
    pub fn built_in() -> Self {
        Self { matcher: BUILT_IN_ONLY.clone(), own: false }
    }

    /// Those of a file, after the built-in ones: the last that matches decides, so `!.git/index.lock` keeps it.
    pub fn parse(file: &[u8]) -> (Self, Vec<IgnoreFlaw>) {
        if file.len() > IGNORE_FILE_MAX {
            return (Self::built_in(), vec![IgnoreFlaw::TooLong]);
        }
        let (mut builder, mut flaws) = (with_built_in(), Vec::new());
        let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
        for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
            let added = match std::str::from_utf8(line) {
                Ok(line) => {
                    builder.add_line(None, line.strip_suffix('\r').unwrap_or(line)).map(drop).map_err(|e| e.to_string())
                }
                Err(_) => Err("it is not UTF-8".to_owned()),
            };
            flaws.extend(added.err().map(|reason| IgnoreFlaw::Line { number, reason }));
        }
        match builder.build() {
            Ok(matcher) => (Self { own: matcher.len() > BUILT_IN.len(), matcher }, flaws),
            Err(_) => (Self::built_in(), vec![IgnoreFlaw::TooLong]),
        }
    }

    /// Whether a rule ignores this path by itself. What lies in an ignored directory is ignored too, and no rule
    /// brings it back: for those who walk down to remember.
    pub fn matches(&self, path: &RelativePath, is_dir: bool) -> bool {
        // Where a project has no rules, what is not Git's costs no matching.
        let concerned = self.own || memmem::find(path.as_bytes(), b".git/").is_some();
        // The file itself stays, whatever it says (`.*`): without it the next workspace would have no rules.
        let is_itself = path.as_bytes() == IGNORE_FILE.as_bytes();
        concerned && !is_itself && self.matcher.matched(OsStr::from_bytes(path.as_bytes()), is_dir).is_ignore()
    }
}

fn with_built_in() -> GitignoreBuilder {
    let mut builder = GitignoreBuilder::new("");
    for pattern in BUILT_IN {
        let _is_one = builder.add_line(None, pattern);
    }
    builder
}

impl fmt::Display for IgnoreFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { number, reason } => write!(f, "{IGNORE_FILE} line {number} is not heeded: {reason}"),
            Self::TooLong => write!(f, "{IGNORE_FILE} is not heeded: make it {IGNORE_FILE_MAX} bytes or shorter"),
            Self::NoFile => write!(f, "{IGNORE_FILE} is not heeded: make it a regular file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(rules: &IgnoreRules, path: &str) -> bool {
        let (path, is_dir) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        rules.matches(&path.parse().unwrap(), is_dir)
    }

    #[test]
    fn what_git_leaves_behind_is_ignored_at_any_depth_and_nothing_else() {
        let rules = IgnoreRules::built_in();
        assert_eq!(rules.matcher.len(), BUILT_IN.len(), "each is a pattern");
        let left = [
            ".git/index.lock",
            "sub/module/.git/HEAD.lock",
            ".git/refs/heads/topic/x.lock",
            ".git/gc.pid",
            ".git/objects/pack/tmp_pack_a1",
            ".git/objects/ab/tmp_obj_x",
        ];
        let kept = [
            ".git/index",
            ".git/HEAD",
            ".git/objects/ab/cdef",
            ".git/refs/heads/main",
            "Cargo.lock",
            "index.lock",
            "tmp_x",
            "node_modules/",
        ];
        assert!(left.iter().all(|path| ignored(&rules, path)));
        assert!(!kept.iter().any(|path| ignored(&rules, path)));
    }

    #[test]
    fn the_last_rule_decides_also_over_built_in_ones() {
        let (rules, flaws) =
            IgnoreRules::parse(b"\xef\xbb\xbf*.log\r\n!keep.log\n# text\n\n/top\ndir/\n!.git/index.lock\n");
        assert_eq!(flaws, []);
        let cases = [
            ("a/b.log", true),
            ("keep.log", false),
            ("top", true),
            ("a/top", false),
            ("a/dir/", true),
            ("a/dir", false),
            (".git/index.lock", false),
            (".git/HEAD.lock", true),
        ];
        let all = IgnoreRules::parse(b"*\n").0;
        assert!(ignored(&all, "a") && ignored(&all, "a/.drydockignore") && !ignored(&all, ".drydockignore"));
        for (path, expected) in cases {
            assert_eq!(ignored(&rules, path), expected, "{path}");
        }
    }

    #[test]
    fn names_need_not_be_text() {
        let (rules, _) = IgnoreRules::parse(b"*.o\n");
        assert!(rules.matches(&RelativePath::new(b"d/\xff.o").unwrap(), false));
        assert!(!rules.matches(&RelativePath::new(b"d/\xff.c").unwrap(), false));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named_and_the_others_hold() {
        let (rules, flaws) = IgnoreRules::parse(b"*.o\n[z-a]\n\xff\n*.a\n");
        let lines: Vec<_> = flaws.iter().map(|flaw| matches!(flaw, IgnoreFlaw::Line { number: 2 | 3, .. })).collect();
        assert_eq!(lines, [true, true], "{flaws:?}");
        assert!(flaws[0].to_string().starts_with(".drydockignore line 2 is not heeded: "), "{}", flaws[0]);
        assert!(ignored(&rules, "x.o") && ignored(&rules, "x.a") && !ignored(&rules, "z"));
    }

    #[test]
    fn a_file_beyond_all_measure_counts_for_nothing() {
        let (rules, flaws) = IgnoreRules::parse(&b"*\n".repeat(IGNORE_FILE_MAX / 2 + 1));
        assert_eq!(flaws, [IgnoreFlaw::TooLong]);
        assert!(!ignored(&rules, "x"));
        let (rules, flaws) = IgnoreRules::parse(&b"*\n".repeat(IGNORE_FILE_MAX / 2));
        assert!(flaws.is_empty() && ignored(&rules, "x"), "as long as it may be");
    }
}
