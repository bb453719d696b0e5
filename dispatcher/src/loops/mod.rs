//! The loops, one file each: idempotent, bounded, and told nothing about what changed.

pub(crate) mod due;
pub(crate) mod gauges;
pub(crate) mod hints;
mod pace;
pub(crate) mod reap;
mod relay;
pub(crate) mod schedules;
pub(crate) mod seal;
pub(crate) mod tickets;
