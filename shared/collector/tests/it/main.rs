//! The collector against a real PostgreSQL and a real S3 server: bytes that are in the bucket, and bytes that are not any more.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod audit;
mod place;
mod projects;
mod sharing;
