//! Integration tests of the jail.
#![expect(clippy::unwrap_used, reason = "a test's helpers may give up")]
#![expect(clippy::print_stdout, reason = "how long a run took is for whoever reads")]

mod document;
mod escape;
mod supervisor;
mod surroundings;
