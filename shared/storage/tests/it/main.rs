//! Tests of the storage crate against a real S3 server.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod changes;
mod exports;
mod imports;
mod logs;
mod objects;
mod random;
mod reading;
mod support;
mod trees;
