//! The database crate against a real PostgreSQL.

mod migrations;
mod support;
mod touch;
mod transitions;
