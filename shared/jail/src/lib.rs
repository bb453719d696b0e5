#![doc = include_str!("../README.md")]

pub mod attack;
mod jail;
mod policy;
mod protocol;

pub use jail::{FILTER_VERSION, PROGRAMS};
pub use policy::{Network, Policy, PolicyError};
pub use protocol::{Ended, Order, ProtocolError, Started};

/// Runs a program in a jail that this process supervises, and ends this process as the program ended; 125 if nothing was run. `program` is
/// its path, its name and its arguments. For the helper's `main` alone: the process must have one thread.
pub fn run(policy: &Policy, program: &[std::ffi::OsString]) -> ! {
    jail::end_as(&jail::run(policy, program))
}
