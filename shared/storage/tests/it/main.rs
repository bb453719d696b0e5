//! Tests of the storage crate against a real S3 server.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod changes;
mod costs;
mod exports;
mod imports;
mod logs;
mod memory;
mod objects;
mod random;
mod reading;
mod support;
mod trees;
