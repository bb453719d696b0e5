//! `RelativePath`: a path that stays inside a workspace by construction.
//!
//! Owns the one rule of what a path in a tree may be: bytes, not text, because file names on Linux are bytes.
//! Refuses what could leave the workspace or could not be created on disk: empty, absolute, `.`, `..`, empty
//! components, NUL, and lengths beyond the kernel's. It knows nothing of files: a symlink is not resolved here.

use std::{cmp::Ordering, fmt, str::FromStr, sync::Arc};

/// Longest component in bytes (`NAME_MAX`, limits.h).
pub const MAX_COMPONENT: usize = 255;
/// Longest path in bytes (`PATH_MAX`, limits.h).
pub const MAX_PATH: usize = 4096;

/// Why some bytes are not a [`RelativePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No bytes at all.
    #[error("path is empty")]
    Empty,
    /// It starts with `/`.
    #[error("path is absolute")]
    Absolute,
    /// Two slashes in a row, or one at the end.
    #[error("path has an empty component")]
    EmptyComponent,
    /// A component is `.` or `..`.
    #[error("path has a `.` or `..` component")]
    DotComponent,
    /// It holds a NUL byte.
    #[error("path has a NUL byte")]
    Nul,
    /// A component is longer than [`MAX_COMPONENT`].
    #[error("path has a component longer than {MAX_COMPONENT} bytes")]
    LongComponent,
    /// The whole is longer than [`MAX_PATH`].
    #[error("path is longer than {MAX_PATH} bytes")]
    TooLong,
}

/// A relative path inside a workspace; cheap to clone.
///
/// Ordered component by component, each component by its bytes. That is the order of a depth-first walk: a
/// directory comes right before what it holds, and what it holds is contiguous. So `a`, `a/b`, `a-b`, `a.b`, where
/// plain byte order would put `a-b` and `a.b` between `a` and `a/b`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelativePath(Arc<[u8]>);

impl RelativePath {
    /// Checks `bytes` and takes a copy of them.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        check(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The path of `name` inside this directory; `name` is one component.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let name = name.as_ref();
        check_component(name)?;
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// The directory that holds it; `None` at the top level.
    pub fn parent(&self) -> Option<Self> {
        self.parent_bytes().map(|bytes| Self(bytes.into()))
    }

    /// The bytes of [`Self::parent`], without a copy.
    pub fn parent_bytes(&self) -> Option<&[u8]> {
        let slash = self.0.iter().rposition(|&byte| byte == b'/')?;
        Some(&self.0[..slash])
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.parent_bytes().map_or(&self.0, |parent| &self.0[parent.len() + 1..])
    }

    /// The components from the top down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether it lies in `directory`, at any depth.
    pub fn is_below(&self, directory: &Self) -> bool {
        matches!(self.0.strip_prefix(&*directory.0), Some([b'/', ..]))
    }

    /// Whether it is ordered before the path of these bytes.
    pub(crate) fn is_before(&self, other: &[u8]) -> bool {
        compare(&self.0, other).is_lt()
    }

    /// Whether it is one of the two files by which worker and agent talk (`.codex/request.json` and
    /// `.codex/result.json`), or below a directory put in their place. They are no part of tree ids, changed-file
    /// lists or diffs.
    pub fn is_protocol_file(&self) -> bool {
        let names: [&[u8]; 2] = [b".codex/request.json", b".codex/result.json"];
        names.iter().any(|name| matches!(self.0.strip_prefix(*name), Some([] | [b'/', ..])))
    }
}

fn check(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        [] => return Err(PathError::Empty),
        [b'/', ..] => return Err(PathError::Absolute),
        _ if bytes.len() > MAX_PATH => return Err(PathError::TooLong),
        _ => {}
    }
    bytes.split(|&byte| byte == b'/').try_for_each(check_component)
}

fn check_component(name: &[u8]) -> Result<(), PathError> {
    match name {
        b"" => Err(PathError::EmptyComponent),
        b"." | b".." => Err(PathError::DotComponent),
        _ if name.contains(&0) => Err(PathError::Nul),
        _ if name.contains(&b'/') => Err(PathError::EmptyComponent),
        _ if name.len() > MAX_COMPONENT => Err(PathError::LongComponent),
        _ => Ok(()),
    }
}

impl Ord for RelativePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // NUL cannot occur, so a slash read as 0 sorts before every byte of a name.
    let key = |&byte: &u8| if byte == b'/' { 0 } else { byte };
    a.iter().map(key).cmp(b.iter().map(key))
}

impl PartialOrd for RelativePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for RelativePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Lossy: bytes that are not UTF-8 show as U+FFFD.
impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> RelativePath {
        text.parse().unwrap()
    }

    #[test]
    fn refuses_what_could_leave_or_break_a_workspace() {
        let long = "x".repeat(256);
        let deep = "abc/".repeat(1024) + "d";
        let cases: [(&str, PathError); 12] = [
            ("", PathError::Empty),
            ("/", PathError::Absolute),
            ("/etc/passwd", PathError::Absolute),
            ("a//b", PathError::EmptyComponent),
            ("a/", PathError::EmptyComponent),
            (".", PathError::DotComponent),
            ("..", PathError::DotComponent),
            ("a/../b", PathError::DotComponent),
            ("a/./b", PathError::DotComponent),
            ("a\0b", PathError::Nul),
            (&long, PathError::LongComponent),
            (&deep, PathError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(RelativePath::new(text), Err(error), "{text:?}");
        }
        assert!(RelativePath::new("x".repeat(255)).is_ok());
        assert!(RelativePath::new(&deep[1..]).is_ok(), "4096 bytes are allowed");
        assert_eq!(path("a").join("b/c"), Err(PathError::EmptyComponent));
        assert_eq!(path("a").join(".."), Err(PathError::DotComponent));
    }

    #[test]
    fn accepts_any_other_bytes() {
        let names: [&[u8]; 8] = [b"\xff\xfe", b"new\nline", b"-rf", b" ", b"...", b"a\\b", b"\x7f\x01", b".codex"];
        for name in names {
            assert_eq!(RelativePath::new(name).unwrap().as_bytes(), name);
        }
        assert_eq!(RelativePath::new(b"\xff").unwrap().to_string(), "\u{fffd}");
        assert_eq!(RelativePath::new(b"\xff").unwrap().to_str(), None);
    }

    #[test]
    fn a_directory_is_followed_by_what_it_holds() {
        let mut paths: Vec<_> = ["a.b", "a/b", "a-b", "a/b/c", "a", "a/b-"].map(path).into();
        paths.sort();
        let shown: Vec<_> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "a/b", "a/b/c", "a/b-", "a-b", "a.b"]);
    }

    #[test]
    fn only_the_two_exact_names_are_protocol_files() {
        assert!(path(".codex/request.json").is_protocol_file());
        assert!(path(".codex/result.json").is_protocol_file());
        assert!(path(".codex/result.json/x").is_protocol_file());
        for other in [".codex", ".codex/result.jsonx", "a/.codex/result.json", ".codex/Result.json"] {
            assert!(!path(other).is_protocol_file(), "{other}");
        }
    }

    #[test]
    fn below_is_what_a_directory_holds() {
        for below in ["a/b", "a/b/c"] {
            assert!(path(below).is_below(&path("a")), "{below}");
        }
        for other in ["a", "ab", "a-b", "b/a", "ab/c"] {
            assert!(!path(other).is_below(&path("a")), "{other}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_component_lists(
            a in "[-a./]{1,6}", b in "[-a./]{1,6}"
        ) {
            if let (Ok(a), Ok(b)) = (RelativePath::new(&a), RelativePath::new(&b)) {
                prop_assert_eq!(a.cmp(&b), a.components().cmp(b.components()));
            }
        }

        #[test]
        fn a_path_is_its_parent_joined_with_its_name(text in "[a-c]{1,3}(/[a-c]{1,3}){0,4}") {
            let path = path(&text);
            match path.parent() {
                Some(parent) => prop_assert_eq!(parent.join(path.file_name()).unwrap(), path),
                None => prop_assert_eq!(path.file_name(), path.as_bytes()),
            }
        }
    }
}
