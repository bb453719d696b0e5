//! The database crate against a real PostgreSQL.

mod lanes;
mod migrations;
mod support;
mod touch;
mod transitions;
