//! New namespaces, in which a process has every capability, and those outside.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use rustix::{
    process::{PidfdFlags, pidfd_open},
    thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces},
};

use super::super::{
    Attack, Canaries, Group,
    call::{call, leave, past_the_gate, words},
};

pub(super) static NEW: Group = Group {
    title: "New namespaces",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("new-users", "`unshare` of users", |_| unshare(libc::CLONE_NEWUSER)),
        Attack::new("new-mounts", "`unshare` of mounts", |_| unshare(libc::CLONE_NEWNS)),
        Attack::new("new-processes", "`unshare` of process numbers", |_| unshare(libc::CLONE_NEWPID)),
        Attack::new("new-network", "`unshare` of the network", |_| unshare(libc::CLONE_NEWNET)),
        Attack::new("new-ipc", "`unshare` of queues", |_| unshare(libc::CLONE_NEWIPC)),
        Attack::new("new-host-name", "`unshare` of the host name", |_| unshare(libc::CLONE_NEWUTS)),
        Attack::new("new-cgroups", "`unshare` of cgroups", |_| unshare(libc::CLONE_NEWCGROUP)),
        Attack::new("new-clocks", "`unshare` of clocks", |_| unshare(0x80)),
        Attack::new("new-users-and-all", "`unshare` of users together with mounts and the network", |_| {
            unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET)
        }),
        Attack::new("clone-new-users", "`clone` with new users", |_| clone(libc::CLONE_NEWUSER)),
        Attack::new("clone-new-mounts", "`clone` with new mounts", |_| clone(libc::CLONE_NEWNS)),
        Attack::new("clone-new-network", "`clone` with a new network", |_| clone(libc::CLONE_NEWNET)),
        Attack::new("clone3-new-users", "`clone3` with new users, whose flags no filter sees", |_| {
            let mut flags = words(&[libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64]);
            flags.resize(64, 0);
            child(call!(SYS_clone3, &flags, 64))
        }),
        Attack::new("enter-own-network", "enters its own network anew", |_| {
            let there = File::open("/proc/self/ns/net")?;
            Ok(move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))?)
        }),
        // The kernel asks who may before it looks at the length.
        Attack::new("set-host-name", "changes the machine's name", |_| {
            past_the_gate(call!(SYS_sethostname, c"x", -1), libc::EINVAL)
        }),
        Attack::new("set-domain-name", "changes the machine's domain", |_| {
            past_the_gate(call!(SYS_setdomainname, c"x", -1), libc::EINVAL)
        }),
    ],
};

pub(super) static OTHERS: Group = Group {
    title: "Namespaces of processes",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("enter-mounts", "enters another process's mounts by `/proc`", |on| {
            let there = File::open(on.proc("ns/mnt")?)?;
            Ok(move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Mount))?)
        }),
        Attack::new("enter-network", "enters another process's network by `/proc`", |on| {
            let there = File::open(on.proc("ns/net")?)?;
            Ok(move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))?)
        }),
        Attack::new("enter-processes", "enters another process's process numbers by `/proc`", |on| {
            let there = File::open(on.proc("ns/pid")?)?;
            Ok(move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::ProcessID))?)
        }),
        Attack::new("find-by-pid-descriptor", "opens another process's mounts by a descriptor of it", |on| {
            const GET_MOUNTS: i32 = 0xFF03;
            let process = pidfd_open(on.pid()?, PidfdFlags::empty())?;
            call!(SYS_ioctl, process.as_raw_fd(), GET_MOUNTS, 0).map(drop)
        })
        .controlled(),
        Attack::new("enter-by-pid-descriptor", "enters another process's mounts by a descriptor of it", |on| {
            let process = pidfd_open(on.pid()?, PidfdFlags::empty())?;
            Ok(move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::MOUNT)?)
        }),
    ],
};

fn unshare(flags: i32) -> io::Result<()> {
    call!(SYS_unshare, flags).map(drop)
}

fn clone(flags: i32) -> io::Result<()> {
    child(call!(SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0))
}

/// Ends the child, and waits for it.
fn child(made: io::Result<i64>) -> io::Result<()> {
    match made? {
        0 => leave(0),
        pid => call!(SYS_wait4, pid, 0, 0, 0).map(drop),
    }
}
