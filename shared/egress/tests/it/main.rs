//! Brokers between hostile clients and real servers, all on loopback.
#![expect(clippy::unwrap_used, reason = "a test's helpers may give up")]

mod bounds;
mod connecting;
mod endpoints;
mod harness;
mod proxied;
mod strangers;
