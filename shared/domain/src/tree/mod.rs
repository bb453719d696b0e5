//! `Tree`: the content of one version as a sorted list of entries, and its Merkle id.
//!
//! Owns what makes a set of entries a tree (each name once, each parent a directory) and the byte layout behind the
//! tree id. Refuses everything else. Where the bytes of a file are stored is none of its business.
//!
//! # Tree id
//! The id of a tree is the hash of its top directory. A directory's hash is BLAKE3-256 over
//! ```text
//! "drydock-dir-v1"
//! for each entry, in byte order of the names:
//!     u16 name length, name
//!     u8  kind: 1 file, 2 directory, 3 symlink
//!     file:      u16 mode, u64 size, 32 bytes BLAKE3 of the content
//!     directory: u16 mode, 32 bytes hash of that directory
//!     symlink:   u16 target length, target
//! ```
//! All numbers are little-endian. The same tree has the same id on every machine; times, owners, extended attributes
//! and hard-link topology are no part of it, and neither is the mode of the top directory.

mod directories;
mod edit;
mod merge;

use std::{fmt, ops::Range};

use self::directories::Directories;
pub use self::{
    edit::{Edited, TreeEdit},
    merge::{Merged, merge},
};
use crate::{digest::Digest, path::RelativePath};

/// Longest symlink target in bytes (`PATH_MAX` less its NUL).
pub const MAX_LINK_TARGET: usize = 4095;

/// The directory of the protocol files; without anything else in it, it is left out of trees with them.
const PROTOCOL_DIRECTORY: &[u8] = b".codex";

/// Why entries are not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The same path twice.
    #[error("path {0:?} occurs twice")]
    Duplicate(RelativePath),
    /// Entries of an already sorted list are out of order.
    #[error("path {0:?} is out of order")]
    Unsorted(RelativePath),
    /// What should be the parent is missing, a file or a symlink.
    #[error("the parent of {0:?} is not a directory")]
    ParentNotDirectory(RelativePath),
    /// A file that belongs to an attempt, not to a tree.
    #[error("path {0:?} is reserved for the agent protocol")]
    Protocol(RelativePath),
    /// A symlink target is empty, too long or holds a NUL.
    #[error("symlink target must have 1 to {MAX_LINK_TARGET} bytes and no NUL")]
    LinkTarget,
}

/// Permission bits of a file or directory: `0o777` at most.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// Keeps the `rwx` bits of a raw `st_mode`; setuid, setgid and sticky are dropped, as is the file type.
    pub const fn new(raw: u32) -> Self {
        Self((raw & 0o777) as u16)
    }

    /// The bits, as `chmod` takes them.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// What a symlink says, verbatim: data, never followed by the fleet. Absolute and escaping targets are legal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LinkTarget(Box<[u8]>);

impl LinkTarget {
    /// Checks the length and copies the bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, TreeError> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() || bytes.len() > MAX_LINK_TARGET || bytes.contains(&0) {
            return Err(TreeError::LinkTarget);
        }
        Ok(Self(bytes.into()))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Bytes of content.
        size: u64,
        /// Permission bits.
        mode: Mode,
        /// BLAKE3 of the content.
        blob: Digest,
    },
    /// A directory, empty or not.
    Dir {
        /// Permission bits.
        mode: Mode,
    },
    /// A symbolic link; it has no mode of its own.
    Symlink {
        /// What it points to.
        target: LinkTarget,
    },
}

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: RelativePath,
    /// What.
    pub kind: EntryKind,
}

impl Entry {
    /// Bytes of content; 0 for directories and symlinks.
    pub fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Whether it is listed among changed files: files and symlinks are, directories are not.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, EntryKind::Dir { .. })
    }
}

/// A valid set of entries, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
    /// Hashes and extents of the directories, computed once: a change then costs only what it touches.
    directories: Directories,
    files: u64,
    bytes: u64,
}

impl Default for Tree {
    /// The empty tree.
    fn default() -> Self {
        Self::valid(Vec::new())
    }
}

impl Tree {
    /// Sorts `entries`, leaves out the protocol files (and their directory where nothing else is in it) and checks
    /// the rest.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, TreeError> {
        entries.retain(|entry| !entry.path.is_protocol_file());
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        if let Some(at) = Self::lone_protocol_directory(&entries) {
            entries.remove(at);
        }
        Self::from_sorted(entries)
    }

    /// Where sorted entries without protocol files hold the directory of those, and nothing in it: that is left out.
    pub fn lone_protocol_directory(entries: &[Entry]) -> Option<usize> {
        let at = entries.partition_point(|entry| entry.path.is_before(PROTOCOL_DIRECTORY));
        let directory =
            entries.get(at).filter(|entry| entry.path.as_bytes() == PROTOCOL_DIRECTORY && entry.is_dir())?;
        let next = entries.get(at + 1).map(|next| &next.path);
        let alone = next.is_none_or(|next| *next != directory.path && !next.is_below(&directory.path));
        alone.then_some(at)
    }

    /// Checks entries that must be sorted already, as those read from storage.
    pub fn from_sorted(entries: Vec<Entry>) -> Result<Self, TreeError> {
        let mut open: Vec<&RelativePath> = Vec::new();
        let mut previous: Option<&RelativePath> = None;
        for entry in &entries {
            match previous.map(|previous| previous.cmp(&entry.path)) {
                Some(std::cmp::Ordering::Equal) => {
                    return Err(TreeError::Duplicate(entry.path.clone()));
                }
                Some(std::cmp::Ordering::Greater) => {
                    return Err(TreeError::Unsorted(entry.path.clone()));
                }
                _ => previous = Some(&entry.path),
            }
            if entry.path.is_protocol_file() {
                return Err(TreeError::Protocol(entry.path.clone()));
            }
            if let Some(parent) = entry.path.parent_bytes() {
                while open.last().is_some_and(|dir| dir.as_bytes() != parent) {
                    open.pop();
                }
                if open.is_empty() {
                    return Err(TreeError::ParentNotDirectory(entry.path.clone()));
                }
            }
            if entry.is_dir() {
                open.push(&entry.path);
            }
        }
        Ok(Self::valid(entries))
    }

    /// Entries that are known to be sorted, unique and below directories.
    fn valid(entries: Vec<Entry>) -> Self {
        let directories = Directories::of(&entries);
        let files = entries.iter().filter(|entry| !entry.is_dir()).count() as u64;
        let bytes = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size()));
        Self { entries, directories, files, bytes }
    }

    /// The entries in path order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The index of `path` in [`Self::entries`].
    pub fn position(&self, path: &RelativePath) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()
    }

    /// What is at `path`.
    pub fn get(&self, path: &RelativePath) -> Option<&Entry> {
        self.position(path).map(|at| &self.entries[at])
    }

    /// The entry at `index` and all below it, as indices into [`Self::entries`].
    pub fn subtree(&self, index: usize) -> Range<usize> {
        index..self.directories.end(index).unwrap_or(index + 1)
    }

    /// What lies directly in the directory at `index`, or at the top, as indices into [`Self::entries`]. Costs time by
    /// what it gives, not by what lies below.
    pub fn children(&self, directory: Option<usize>) -> impl Iterator<Item = usize> {
        let all = directory.map_or(0..self.entries.len(), |index| index + 1..self.subtree(index).end);
        let mut next = all.start;
        std::iter::from_fn(move || {
            let child = (next < all.end).then_some(next)?;
            next = if self.entries[child].is_dir() { self.subtree(child).end } else { child + 1 };
            Some(child)
        })
    }

    /// Files and symlinks.
    pub const fn file_count(&self) -> u64 {
        self.files
    }

    /// Bytes of all files, each path counted.
    pub const fn total_bytes(&self) -> u64 {
        self.bytes
    }

    /// The Merkle id; see the module's documentation for what is hashed. Known since the tree was made.
    pub const fn id(&self) -> Digest {
        self.directories.top()
    }
}

#[cfg(test)]
mod tests;
