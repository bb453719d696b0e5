//! Detection: what an agent changed in its workspace, before a single file is read.
//!
//! Owns the answer's form, which is the same for every rung: paths that are gone, and entries that may differ. A file
//! among them is not yet known to be different: reading it tells. Nothing of the agent may be alive.

mod baseline;
mod ignoring;
mod snapshot;
mod upper;
mod walk;

use drydock_domain::{IgnoreFlaw, RelativePath};
use drydock_files::Directories;
use rustix::fs::Mode;

pub use self::{baseline::Baseline, snapshot::Dropped};
pub(super) use self::{
    baseline::FileStat,
    ignoring::rules,
    snapshot::{Found, FoundKind},
    upper::{Sides, upper},
    walk::walk,
};

/// What may differ from the base version.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Paths of the base that are gone with all below them, sorted; something else may be found in their place.
    pub(super) removed: Vec<RelativePath>,
    /// What is there, sorted by path: everything that differs, and perhaps more.
    pub(super) found: Vec<Found>,
    /// What is there and can be no part of a version.
    pub(super) dropped: Dropped,
    /// What of the project's ignore file is not heeded.
    pub(super) flaws: Vec<IgnoreFlaw>,
    /// Directories that were opened for the look, with the modes they had.
    opened: Vec<(RelativePath, Mode)>,
}

impl Changed {
    /// Whether it is the base version.
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.found.is_empty()
    }

    /// Gives directories that were opened for the look the modes the agent gave them, the deepest first.
    pub(super) fn close_directories(&mut self, directories: &mut Directories<'_>) {
        self.opened.sort_unstable_by(|a, b| b.0.cmp(&a.0));
        for (path, mode) in self.opened.drain(..) {
            // Best effort: the workspace is about to be removed, and removing opens them again.
            let _ = directories.open(path.as_bytes()).and_then(|directory| rustix::fs::fchmod(directory, mode));
        }
    }

    fn sort(&mut self) {
        self.removed.sort_unstable();
        self.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
}
