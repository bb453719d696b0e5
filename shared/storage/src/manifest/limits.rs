//! `Limits`: how large a tree may be. Checked while a tree is written and before one is read into memory.

use drydock_domain::path::MAX_PATH;

use crate::StorageError;

/// Bounds of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries: files, symlinks and directories.
    pub entries: u64,
    /// Bytes of all files, each path counted.
    pub bytes: u64,
}

impl Limits {
    /// No tree has more entries, whatever is configured.
    pub const MAX_ENTRIES: u64 = 1_000_000;

    /// Limits with at most [`Self::MAX_ENTRIES`].
    pub fn new(entries: u64, bytes: u64) -> Self {
        Self { entries: entries.min(Self::MAX_ENTRIES), bytes }
    }

    pub(crate) fn check_entries(&self, entries: u64) -> Result<(), StorageError> {
        Self::check(entries, self.entries, "number of files")
    }

    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<(), StorageError> {
        Self::check(bytes, self.bytes, "size of the workspace in bytes")
    }

    /// The longest manifest body such a tree can have; what a compressed one may unfold to.
    pub(crate) fn body_max(&self) -> u64 {
        self.entries.saturating_mul(MAX_PATH as u64 + 128).min(1 << 30)
    }

    pub(crate) fn check(value: u64, limit: u64, what: &str) -> Result<(), StorageError> {
        if value > limit { Err(StorageError::TooLarge { what: what.to_owned(), limit }) } else { Ok(()) }
    }
}

impl Default for Limits {
    /// 200,000 entries and 20 GiB.
    fn default() -> Self {
        Self { entries: 200_000, bytes: 20 << 30 }
    }
}
