//! The mutants, by function.

mod attempts;
mod queueing;

use super::Mutant;

const fn dies(function: &'static str, find: &'static str, put: &'static str) -> Mutant {
    Mutant { function, find, put, redundant: None }
}

const fn lives(function: &'static str, find: &'static str, put: &'static str, reason: &'static str) -> Mutant {
    Mutant { function, find, put, redundant: Some(reason) }
}

pub(super) fn all() -> Vec<Mutant> {
    [
        attempts::claim(),
        attempts::finish(),
        attempts::end_attempt(),
        attempts::promote(),
        attempts::cancel(),
        attempts::reap(),
        attempts::renew(),
        queueing::tickets(),
        queueing::admit(),
        queueing::lead(),
        queueing::accept(),
        queueing::waits(),
        queueing::ends_of_waits(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const NEVER_CANCELLED: &str = "no transition leaves cancel_at on a job that neither runs nor is over";
const UNDER_PROJECT: &str = "whoever else changes this row holds the project row as well";
const CURRENT_RUNS: &str = "CHECK ((state = 'running') = (current_attempt IS NOT NULL)) on job";
const HELD: &str = "the row is locked and was in that state when it was";
