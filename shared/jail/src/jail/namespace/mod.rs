//! The job's own namespaces: user, mounts, processes, IPC, host name, cgroup, and network where it is closed.
//!
//! Made here rather than by bubblewrap (whose argument shape this follows): below 0.12 that resolves paths below what the job can write
//! (CVE-2026-87766), and it costs a program more for each start. Here every source is opened once, before anything is mounted, and what the
//! job can write is mounted last, so that nothing is ever looked up below it.

mod root;
mod users;

use std::io;

pub(super) use users::Owner;

use super::sys;
use crate::{Network, Policy};

/// Whether the job has a network of its own, with nobody else in it.
pub(super) fn has_own_network(policy: &Policy) -> bool {
    policy.level == drydock_domain::Isolation::Namespace && policy.network == Network::Closed
}

/// The flags that a child in these namespaces is made with.
pub(super) fn flags(policy: &Policy) -> i32 {
    sys::NAMESPACES | if has_own_network(policy) { sys::NEW_NETWORK } else { 0 }
}

/// Furnishes the namespaces that this process, their first one, was made in.
pub(super) fn furnish(policy: &Policy, owner: Owner) -> io::Result<()> {
    let say = |what| move |error| io::Error::other(format!("{what}: {error}"));
    owner.map().map_err(say("map the user"))?;
    root::enter(policy, owner)?;
    sys::set_host_name("job").map_err(say("set the host name"))?;
    if has_own_network(policy) {
        sys::loopback_up().map_err(say("bring up the loopback device"))?;
    }
    Ok(())
}
