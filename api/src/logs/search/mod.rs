//! Search in logs: lines that match, counted to the end, with the memory of one piece of a line whatever the log's size.
//!
//! `pattern` is what is looked for, `lines` cuts the bytes, `scan` counts and keeps, `run` brings a log's bytes to a scan on a thread
//! that may take its time, `door` lets so many searches in. `job` and `cursor` are the route of one log; a batch's is with batches.

mod cursor;
mod door;
mod hit;
mod job;
mod lines;
mod pattern;
mod run;
mod scan;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    door::Door,
    hit::HitView,
    job::*,
    lines::Spot,
    pattern::{MAX_PATTERN, Pattern, Wanted},
    run::{Found, run},
    scan::{Budget, Counted, Scan},
};
