//! Integration tests of the worker.
#![expect(clippy::unwrap_used, reason = "a test's helpers may give up")]

mod doctor;
