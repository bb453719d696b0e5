//! Tests of the storage crate against a real S3 server.

mod exports;
mod imports;
mod logs;
mod objects;
mod support;
mod trees;
