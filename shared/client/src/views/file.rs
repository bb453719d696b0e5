//! Files of a version, and what a change by hand came to.

use serde::Deserialize;

/// A page of a version's files.
#[derive(Clone, Debug, Deserialize)]
pub struct Files {
    /// Which version.
    pub version: u64,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Where the next page starts.
    pub next_cursor: Option<String>,
}

/// A file of a version.
#[derive(Clone, Debug, Deserialize)]
pub struct FileEntry {
    /// Relative path.
    pub path: String,
    /// `file` or `symlink`; where everything was asked for, also `dir`.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits, octal.
    pub mode: String,
    /// BLAKE3 of its content, hex; none of a symlink.
    pub blake3: Option<String>,
    /// Where a symlink points.
    pub link_target: Option<String>,
}

/// One file that was changed by hand.
#[derive(Clone, Debug, Deserialize)]
pub struct FileChange {
    /// The version that has it so.
    pub version: u64,
    /// Where.
    pub path: String,
    /// `created`, `modified`, `deleted` or `unchanged`.
    pub change: String,
}

/// Files that were changed by hand, together.
#[derive(Clone, Debug, Deserialize)]
pub struct FilesChange {
    /// The version that was made, or the newest where nothing had to change.
    pub version: u64,
    /// The version it was made of.
    pub parent: u64,
    /// New files.
    pub created: u64,
    /// Files that differ.
    pub modified: u64,
    /// Files that are gone.
    pub deleted: u64,
}
