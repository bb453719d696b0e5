//! `drydock-s3`: an S3 server in one small process, for development and tests.
//!
//! The protocol comes from the `s3s` crate, the storage from `s3s-fs`: one directory a bucket, one file an object. What that means:
//! - `If-None-Match: *` is a look at the file followed by a rename, so two writers at the same moment can both succeed: it
//!   proves nothing about races of conditional PUTs.
//! - Nothing is synced to disk, so an acknowledged object can be lost with the machine: it proves nothing about durability.
//! - An object cannot lie "below" another one (`a` and `a/b`), because a file is no directory.
//!
//! Nothing of Drydock may depend on the first two; production uses a real object store.
//! Refuses: TLS, more than one pair of keys, and requests that are not signed with it.

mod config;
mod server;

use std::process::ExitCode;

use clap::Parser as _;
use drydock_runtime::exit::run_service;

fn main() -> ExitCode {
    let config = config::Config::parse();
    run_service("drydock-s3", &config.telemetry, async |shutdown| server::run(&config, &shutdown).await)
}
