//! The workspace of one attempt: a private directory, filled from a version, read back into the next one, removed.
//!
//! Owns everything the worker does to that directory before and after the agent runs. What is in it was written by an
//! agent and is hostile until proven otherwise: every access is relative to a directory handle, no symlink is ever
//! followed, and names are bytes.

mod base;
mod detect;
mod error;
mod materialize;
mod push;
pub(crate) mod scratch;
mod shelves;

#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;

use drydock_files::Leftovers;

pub use self::{
    base::Base,
    detect::{Baseline, Dropped},
    error::WorkspaceError,
    materialize::{Ladder, Materialized, Materializer, Refused, Rung},
    push::{PushOptions, Pushed, Stored, push},
    scratch::{Scratch, ScratchRoot},
};
use crate::kill_point::{KillPoint, pass};

/// Removes `name` in `parent` and all below it, whatever an agent made of it. Blocking.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> Leftovers {
    drydock_files::remove_tree_noting(parent, name, &mut || pass(KillPoint::Cleaning))
}
