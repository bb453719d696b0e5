//! Every attack, by what it is after.

mod descriptors;
mod devices;
mod files;
pub(super) mod ipc;
mod kernel_files;
mod links;
mod memory;
mod metadata;
mod mounts;
mod namespaces;
pub(super) mod network;
pub(super) mod privileges;
mod proc;
mod programs;
mod resources;
mod scheduling;
mod signals;
pub(super) mod sockets_unix;
mod syscalls;
pub(super) mod tty;

use super::Group;

/// Every group, in the order of the table.
pub static GROUPS: &[&Group] = &[
    &files::GROUP,
    &links::GROUP,
    &metadata::GROUP,
    &proc::GROUP,
    &signals::GROUP,
    &memory::GROUP,
    &scheduling::GROUP,
    &sockets_unix::GROUP,
    &network::GROUP,
    &namespaces::NEW,
    &namespaces::OTHERS,
    &mounts::GROUP,
    &syscalls::GROUP,
    &devices::GROUP,
    &descriptors::GROUP,
    &privileges::GROUP,
    &programs::GROUP,
    &ipc::GROUP,
    &tty::GROUP,
    &resources::GROUP,
    &kernel_files::GROUP,
];
