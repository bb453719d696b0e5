//! What a process may gain and what it has: nothing, from here on.

use std::io;

use rustix::{
    process::{Resource, Rlimit, geteuid, getrlimit, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
        no_new_privs, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

use crate::Policy;

/// Gives up every capability and the way to any, for this process and all it starts.
pub(super) fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    for capability in CapabilitySet::all() {
        // EPERM: whoever may not do this has no capability that it could use the set for. EINVAL: newer than the kernel.
        let _refused = remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

/// Why it is not so, if it is not.
pub(super) fn check() -> io::Result<()> {
    let have = capabilities(None)?;
    let is_clear = (have.effective | have.permitted | have.inheritable).is_empty();
    if !is_clear {
        return Err(io::Error::other(format!("capabilities are left: {have:?}")));
    }
    if !no_new_privs()? {
        return Err(io::Error::other("no-new-privs is not set"));
    }
    // A program that root starts has the bounding set's capabilities again.
    let can_regain = |capability| capability_is_in_bounding_set(capability).unwrap_or(false);
    if geteuid().is_root() && CapabilitySet::all().into_iter().any(can_regain) {
        return Err(io::Error::other("root's bounding set is not empty, and root may not empty it"));
    }
    Ok(())
}

/// The limits of a process (getrlimit(2)). Never raised: where this process has less already, that stays.
pub(super) fn limit(policy: &Policy) -> io::Result<()> {
    let limits = [
        (Resource::Core, Some(0)),
        (Resource::Memlock, Some(64 << 10)),
        (Resource::Msgqueue, Some(0)),
        (Resource::Nofile, policy.open_files),
        (Resource::Nproc, policy.processes),
        (Resource::Fsize, policy.file_bytes),
    ];
    for (resource, limit) in limits {
        if let Some(limit) = limit {
            let limit = Some(getrlimit(resource).maximum.map_or(limit, |most| limit.min(most)));
            setrlimit(resource, Rlimit { current: limit, maximum: limit })
                .map_err(|error| io::Error::other(format!("limit {resource:?} to {limit:?}: {error}")))?;
        }
    }
    Ok(())
}
