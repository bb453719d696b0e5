//! The workspace of one attempt: a private directory, filled from a version, read back into the next one, removed.
//!
//! Owns everything the worker does to that directory before and after the agent runs. What is in it was written by an
//! agent and is hostile until proven otherwise: every access is relative to a directory handle, no symlink is ever
//! followed, and names are bytes.

mod baseline;
mod cleanup;
mod directory;
mod error;
mod materialize;
mod push;
pub(crate) mod scratch;
mod shelves;
mod snapshot;
mod untouched;

#[cfg(test)]
mod tests;

pub use self::{
    baseline::Baseline,
    cleanup::{Leftovers, remove_tree},
    error::WorkspaceError,
    materialize::{Rung, materialize},
    push::{PushOptions, Pushed, push},
    scratch::{Scratch, ScratchRoot},
    snapshot::Dropped,
};
