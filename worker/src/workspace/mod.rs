//! The workspace of one attempt: a private directory, filled from a version, read back into the next one, removed.
//!
//! Owns everything the worker does to that directory before and after the agent runs. What is in it was written by an
//! agent and is hostile until proven otherwise: every access is relative to a directory handle, no symlink is ever
//! followed, and names are bytes.

mod base;
mod cleanup;
mod detect;
mod directory;
mod error;
mod materialize;
mod push;
pub(crate) mod scratch;
mod shelves;

#[cfg(test)]
mod tests;

pub(crate) use self::directory::{Directories, open_file, open_top};
pub use self::{
    base::Base,
    cleanup::{Leftovers, remove_tree},
    detect::{Baseline, Dropped},
    error::WorkspaceError,
    materialize::{Ladder, Materialized, Materializer, Refused, Rung},
    push::{PushOptions, Pushed, Stored, push},
    scratch::{Scratch, ScratchRoot},
};
