//! `drydock-files` on a real file system.
#![expect(clippy::unwrap_used, reason = "a test's helpers may give up")]

mod opening;
mod race;
mod removing;
