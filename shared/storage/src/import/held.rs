//! `Held`: bounds what is kept of an archive until its end. A few bytes of it can name a path of thousands, which implies as many
//! directories; and what becomes no file (a removal, a protocol file) is kept as well.

use drydock_domain::RelativePath;

use crate::{Limits, StorageError};

/// Bytes of all paths, whatever their number.
const PATHS: u64 = 128 << 20;

pub(super) struct Held {
    limits: Limits,
    entries: u64,
    paths: u64,
}

impl Held {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, entries: 0, paths: 0 }
    }

    /// Counts a path that is kept: an entry's, or that of a directory it implies.
    pub(super) fn one_more(&mut self, path: &RelativePath) -> Result<(), StorageError> {
        self.entries += 1;
        self.paths += path.as_bytes().len() as u64;
        self.limits.check_entries(self.entries)?;
        Limits::check(self.paths, PATHS, "length of all paths in bytes")
    }
}
