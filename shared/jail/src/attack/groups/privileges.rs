//! Rights that it has, or gains.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, no_new_privs, set_capabilities};

use super::{
    super::{
        Attack, Canaries, Group,
        call::{call, halves, system_call},
    },
    metadata::own,
};

/// A program that tells the group it runs as, in the workspace, with the set-group-ID bit of [`GROUP_ID`].
const PROGRAM: &str = "id";
const GROUP_ID: u32 = 1;

pub(super) static GROUP: Group = Group {
    title: "Privileges",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("use-capabilities", "has a capability", |_| {
            let have = capabilities(None)?;
            found(!(have.effective | have.permitted | have.inheritable).is_empty())
        }),
        Attack::new(
            "regain-capabilities",
            "has a capability in its bounding set, which root's next program gets",
            |_| {
                let bounded = |capability| rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false);
                found(CapabilitySet::all().into_iter().any(bounded))
            },
        ),
        Attack::new("regain-by-program", "executes a program that has capabilities again", |_| {
            let status = Command::new("/bin/cat").arg("/proc/self/status").output()?.stdout;
            let status = String::from_utf8_lossy(&status);
            found(status.lines().any(|line| line.starts_with("CapEff:") && !line.ends_with("\t0000000000000000")))
        }),
        Attack::new("take-capability", "takes a capability back", |_| {
            let all = CapabilitySet::CHOWN;
            Ok(set_capabilities(None, CapabilitySets { effective: all, permitted: all, inheritable: all })?)
        }),
        Attack::new("gain-by-set-group-id", "executes a program with the set-group-ID bit", |on| {
            let base = on.facts.text("base")?;
            let output = Command::new(Path::new(base).join("inside").join(PROGRAM)).arg("-g").output()?;
            found(output.stdout == format!("{GROUP_ID}\n").as_bytes())
        }),
        Attack::new("allow-new-privileges", "runs without no-new-privs", |_| found(!no_new_privs()?)),
        Attack::new("run-unfiltered", "runs without a seccomp filter", |_| {
            found(call!(SYS_prctl, libc::PR_GET_SECCOMP)? == 0)
        }),
        Attack::new("become-user", "becomes another user", |_| become_other(libc::SYS_setresuid, own().0 + 1)),
        Attack::new("become-group", "becomes another group", |_| become_other(libc::SYS_setresgid, own().1 + 1)),
        Attack::new("join-groups", "joins other groups", |_| {
            call!(SYS_setgroups, 1, &halves(&[own().1 + 1])).map(drop)
        }),
        Attack::new("ignore-root", "changes what root's programs gain (`PR_SET_SECUREBITS`)", |_| {
            call!(SYS_prctl, libc::PR_SET_SECUREBITS, 0).map(drop)
        }),
    ],
};

/// As all three of the real, the effective and the saved one.
fn become_other(number: libc::c_long, id: u32) -> io::Result<()> {
    system_call(number, &mut [id.into(), id.into(), id.into()]).map(drop)
}

pub(super) fn found(is_so: bool) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}

/// Puts the program with the set-group-ID bit into the workspace, where whoever may gives it to another group.
pub(in crate::attack) fn lay(workspace: &Path) -> io::Result<()> {
    let path = workspace.join(PROGRAM);
    let mut copy = File::create(&path)?;
    io::copy(&mut File::open("/usr/bin/id")?, &mut copy)?;
    // Only root may; whoever is not is no threat by such a program either.
    let _ = std::os::unix::fs::fchown(&copy, None, Some(GROUP_ID));
    copy.set_permissions(Permissions::from_mode(0o2755))
}
