//! The database crate against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod backlog;
mod fair;
mod faults;
mod lanes;
mod migrations;
mod protocol;
mod speed;
mod stress;
mod support;
mod touch;
mod transitions;
