//! Test support: each test has its own database (cloned from a migrated template), pool name and bucket prefix on real
//! servers that `make test` starts. Nothing here stands in for one of them.

mod broker;
mod bucket;
mod http_faults;
mod port;
mod postgres;
mod postgres_server;
mod proxy;
pub mod scripted_model;
mod tap;
pub mod violations;
pub mod wait;

pub use broker::{broker, pool};
pub use bucket::{storage, storage_config};
pub use http_faults::{HttpFault, HttpFaults};
pub use port::free_port;
pub use postgres::{TestDatabase, as_api, as_fleet, bring_up, connect, database, empty_database};
pub use postgres_server::PostgresServer;
pub use proxy::{Direction, Pattern, Proxy};
pub use tap::Tap;
pub use violations::violations;
pub use wait::until;

/// Where programs are installed beside the system's own, by the `PATH` of the test: what jobs behind walls have to be able to read.
pub fn toolchains() -> Vec<std::path::PathBuf> {
    let path = setting("PATH");
    let places = std::env::split_paths(&path).filter_map(|entry| Some(entry.parent()?.to_owned()));
    places.filter(|place| place.components().count() > 1 && !place.starts_with("/usr") && place.is_dir()).collect()
}

/// The value of a variable, or what stands for it where it is not set.
#[expect(clippy::disallowed_methods, reason = "tests read what they are run with")]
pub fn setting_or(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The value of a variable that `make test` sets.
#[expect(clippy::disallowed_methods, reason = "tests read where their servers are")]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `deploy/local/with-env.sh COMMAND` while its servers run")
    })
}
