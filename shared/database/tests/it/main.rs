//! The database crate against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod lanes;
mod migrations;
mod reads;
mod schedules;
mod support;
mod touch;
mod transitions;
