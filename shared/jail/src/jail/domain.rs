//! The two Landlock domains (Documentation/userspace-api/landlock.rst of the kernel): the supervisor's, which binds nothing but signals and
//! abstract sockets, and inside it the job's, which binds files and ports as well. The job cannot signal its supervisor, and whatever the
//! supervisor may signal is the jail's.

use std::{
    io,
    path::{Path, PathBuf},
};

use drydock_domain::Isolation;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::view;
use crate::{Network, Policy};

/// The newest whose rights this program knows: what a kernel has beyond the level's own is taken too.
const NEWEST: ABI = ABI::V9;

/// Encloses the supervisor of level `landlock`. Where there is a PID namespace, that ends all of it.
///
/// A domain that says nothing of `Refer` denies it (links and renames from one directory into another), so that this one allows it.
pub(super) fn enclose_supervisor() -> io::Result<()> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let handled = ruleset.handle_access(AccessFs::Refer).and_then(|ruleset| ruleset.scope(Scope::from_all(ABI::V6)));
    let ruleset = handled.and_then(Ruleset::create).map_err(io::Error::other)?;
    enforce(allow(ruleset, Path::new("/"), AccessFs::Refer.into(), true)?)
}

/// Encloses the job.
pub(super) fn enclose_job(policy: &Policy) -> io::Result<()> {
    let (least, most) = if policy.level == Isolation::LandlockWeak { (ABI::V1, ABI::V5) } else { (ABI::V6, NEWEST) };
    let ruleset = ruleset(&policy.network, least, most).map_err(io::Error::other)?;
    let ruleset = allow_files(ruleset, policy, most)?;
    enforce(allow_ports(ruleset, &policy.network)?)
}

fn ruleset(network: &Network, least: ABI, most: ABI) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(least))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(most))?;
    let scope = Scope::from_all(least);
    if !scope.is_empty() {
        ruleset = ruleset.set_compatibility(CompatLevel::HardRequirement).scope(scope)?;
    }
    if matches!(network, Network::Ports { .. } | Network::Broker { .. }) {
        ruleset = ruleset.set_compatibility(CompatLevel::HardRequirement);
    }
    // Closed, it is the filter's matter before the kernel knows ports (ABI 4).
    if *network != Network::Open {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V4))?;
    }
    ruleset.create()
}

/// A rule for one path. A path that is not there needs none, unless it `must` be.
fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>, must: bool) -> io::Result<RulesetCreated> {
    let named = |error: &dyn std::fmt::Display| io::Error::other(format!("'{}': {error}", path.display()));
    let fd = match PathFd::new(path) {
        Ok(fd) => fd,
        Err(_) if !must => return Ok(ruleset),
        Err(error) => return Err(named(&error)),
    };
    let is_directory = std::fs::metadata(path).is_ok_and(|meta| meta.is_dir());
    let access = if is_directory { access } else { access & AccessFs::from_file(NEWEST) };
    // Best effort: rights that the ruleset does not bind are not to be had by a rule either.
    let ruleset = ruleset.set_compatibility(CompatLevel::BestEffort);
    ruleset.add_rule(PathBeneath::new(fd, access)).map_err(|error| named(&error))
}

fn allow_files(mut ruleset: RulesetCreated, policy: &Policy, most: ABI) -> io::Result<RulesetCreated> {
    let read = AccessFs::from_read(most);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(most) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    for path in view::PROGRAMS {
        ruleset = allow(ruleset, Path::new(path), read, false)?;
    }
    for path in view::SETTINGS.into_iter().chain(view::KERNEL) {
        ruleset = allow(ruleset, Path::new(path), look, false)?;
    }
    for path in view::DEVICES {
        ruleset = allow(ruleset, Path::new(path), device, false)?;
    }
    if policy.level == Isolation::Namespace {
        // Of this root only what was put there by name is to be seen.
        ruleset = allow(ruleset, Path::new("/"), look, true)?;
        for path in view::PRIVATE {
            ruleset = allow(ruleset, Path::new(path), write, false)?;
        }
    }
    for path in &policy.read {
        ruleset = allow(ruleset, path, read, true)?;
    }
    let own = policy.write.iter().chain([&policy.workspace]).map(PathBuf::as_path);
    for path in own {
        ruleset = allow(ruleset, path, write, true)?;
    }
    Ok(ruleset)
}

fn allow_ports(mut ruleset: RulesetCreated, network: &Network) -> io::Result<RulesetCreated> {
    let (connect, listen): (&[u16], &[u16]) = match network {
        Network::Ports { connect, listen } => (connect, listen),
        Network::Broker { port } => (std::slice::from_ref(port), &[]),
        Network::Closed | Network::Open => return Ok(ruleset),
    };
    let ports = [(connect, AccessNet::ConnectTcp), (listen, AccessNet::BindTcp)];
    for (ports, access) in ports {
        for &port in ports {
            ruleset = ruleset.add_rule(NetPort::new(port, access)).map_err(io::Error::other)?;
        }
    }
    Ok(ruleset)
}

fn enforce(ruleset: RulesetCreated) -> io::Result<()> {
    let RestrictionStatus { ruleset, no_new_privs, .. } = ruleset.restrict_self().map_err(io::Error::other)?;
    let is_enforced = matches!(ruleset, RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced);
    if is_enforced && no_new_privs { Ok(()) } else { Err(io::Error::other(format!("Landlock is {ruleset:?}"))) }
}
