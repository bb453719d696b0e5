//! Brokers between hostile clients and real servers, all on loopback.

mod bounds;
mod endpoints;
mod harness;
mod proxied;
mod strangers;
