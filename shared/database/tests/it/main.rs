//! The database crate against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod backlog;
mod lanes;
mod migrations;
mod protocol;
mod schedules;
mod speed;
mod support;
mod touch;
mod transitions;
