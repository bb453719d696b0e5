//! The database crate against a real PostgreSQL.
//!
//! The faults of the catalogue that end at the database: T-03, T-04, T-05, T-08, T-26, T-28, T-32, T-38, T-41, T-53 and T-55 in
//! `faults`, T-06, T-37, T-51 and T-52 in `stress`, T-45 in `conflicts`, T-46 in `horizon`, T-54, T-60 and T-62 in `fair`, T-31 in `protocol::mutants`. Each says what turned it red.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod audit;
mod backlog;
mod batches;
mod by_hand;
mod conflicts;
mod fair;
mod faults;
mod groups;
mod horizon;
mod keys;
mod lanes;
mod locality;
mod migrations;
mod next_in_line;
mod objects;
mod pools;
mod protocol;
mod quotas;
mod reads;
mod roles;
mod schedules;
mod sessions;
mod stress;
mod support;
mod touch;
mod transitions;
mod usage;
mod webhooks;
mod workspace;
