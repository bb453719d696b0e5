//! Calls with much of the kernel behind them, or the machine.

use std::{io, os::fd::AsRawFd as _};

use super::super::{
    Attack, Canaries, Group, Target,
    call::{call, halves, past_the_gate, text},
};

pub(super) static GROUP: Group = Group {
    title: "System calls",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("bpf", "makes a map for programs in the kernel", |_| {
            call!(SYS_bpf, 0, &halves(&[2, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 64).map(drop)
        }),
        Attack::new("perf-events", "has the processor count its own events", |_| count(0)),
        Attack::new("io-uring", "makes a ring by which files and sockets are opened past seccomp", |_| {
            call!(SYS_io_uring_setup, 1, &mut [0; 120]).map(drop)
        }),
        Attack::new("io-uring-enter", "hands over a ring's requests", |_| {
            past_the_gate(call!(SYS_io_uring_enter, -1, 0, 0, 0, 0, 0), libc::EBADF)
        }),
        Attack::new("io-uring-register", "gives a ring files", |_| {
            past_the_gate(call!(SYS_io_uring_register, -1, 0, 0, 0), libc::EINVAL)
        }),
        Attack::new("user-faults", "serves page faults of the kernel itself", |_| call!(SYS_userfaultfd, 0).map(drop)),
        Attack::new("add-key", "adds a key to a keyring", |_| {
            call!(SYS_add_key, c"user", c"drydock", c"x", 1, -2).map(drop)
        }),
        Attack::new("find-session-keyring", "finds the session's keyring, which outlives programs", |_| {
            call!(SYS_keyctl, 0, -3, 0).map(drop)
        }),
        Attack::new("request-key", "asks for a key", |_| {
            past_the_gate(call!(SYS_request_key, c"user", c"drydock", 0, 0), libc::ENOKEY)
        }),
        Attack::new("open-by-handle", "opens a file by its handle, past its path", open_by_handle),
        Attack::new("quota", "asks for a disk's quotas", |_| {
            past_the_gate(call!(SYS_quotactl, 0x0080_0001_u32 << 8, c"/drydock", 0, 0), libc::ENOENT)
        }),
        Attack::new("quota-by-descriptor", "the same by a descriptor", |_| {
            past_the_gate(call!(SYS_quotactl_fd, -1, 0, 0, 0), libc::EBADF)
        }),
        Attack::new("swap-on", "gives the kernel a file to swap to", |on| {
            past_the_gate(call!(SYS_swapon, &text(&on.mine("no-swap"))?, 0), libc::ENOENT)
        }),
        Attack::new("swap-off", "takes it away", |on| {
            past_the_gate(call!(SYS_swapoff, &text(&on.mine("no-swap"))?), libc::ENOENT)
        }),
        Attack::new("account", "has the kernel write who ran what", |on| {
            past_the_gate(call!(SYS_acct, &text(&on.mine("no-log"))?), libc::ENOENT)
        }),
        // With a number that reboots nothing.
        Attack::new("reboot", "restarts the machine", |_| past_the_gate(call!(SYS_reboot, 0, 0, 0, 0), libc::EINVAL)),
        Attack::new("kexec", "loads another kernel", |_| {
            past_the_gate(call!(SYS_kexec_load, 0, 0, 0, -1), libc::EINVAL)
        }),
        Attack::new("kexec-by-file", "loads another kernel from a file", |_| {
            past_the_gate(call!(SYS_kexec_file_load, -1, -1, 0, 0, -1), libc::EINVAL)
        }),
        Attack::new("load-module", "loads code into the kernel", |_| {
            past_the_gate(call!(SYS_init_module, 0, 0, c""), libc::ENOEXEC)
        }),
        Attack::new("load-module-by-file", "loads code into the kernel from a file", |_| {
            past_the_gate(call!(SYS_finit_module, -1, c"", 0), libc::EBADF)
        }),
        Attack::new("unload-module", "removes code from the kernel", |_| {
            past_the_gate(call!(SYS_delete_module, c"drydock-none", libc::O_NONBLOCK), libc::ENOENT)
        }),
        Attack::new("read-kernel-log", "reads the kernel's messages", |_| {
            call!(SYS_syslog, 3, &mut [0; 64], 64).map(drop)
        }),
        // Without a time it only asks who may.
        Attack::new("set-clock", "sets the machine's clock", |_| call!(SYS_settimeofday, 0, 0).map(drop)),
        Attack::new("adjust-clock", "slows the machine's clock", |_| {
            // By a tick of no length, which is refused to whoever may.
            let mut change = [0; 208];
            change[..4].copy_from_slice(&libc::ADJ_TICK.to_ne_bytes());
            past_the_gate(call!(SYS_clock_adjtime, libc::CLOCK_REALTIME, &mut change), libc::EINVAL)
        }),
        Attack::new("hang-up", "hangs up its terminal", |_| {
            // One of its own, which is none.
            let _ = rustix::process::setsid();
            call!(SYS_vhangup).map(drop)
        }),
        #[cfg(target_arch = "x86_64")]
        Attack::new("reach-ports", "asks for the machine's I/O ports", |_| call!(SYS_iopl, 3).map(drop)),
        #[cfg(target_arch = "x86_64")]
        Attack::new("reach-some-ports", "asks for some of the machine's I/O ports", |_| {
            call!(SYS_ioperm, 0x80, 1, 1).map(drop)
        }),
        #[cfg(target_arch = "x86_64")]
        Attack::new("segments", "gives the processor segments of its own", |_| {
            call!(SYS_modify_ldt, 1, &halves(&[0, 0, 0, 0]), 16).map(drop)
        }),
        #[cfg(target_arch = "x86_64")]
        Attack::new("i386-call", "makes a denied call as 32-bit programs do (`int 0x80`)", |_| {
            const UNSHARE: u32 = 310;
            super::super::call::call_i386(UNSHARE, libc::CLONE_NEWUTS.cast_unsigned())
        }),
        #[cfg(target_arch = "x86_64")]
        Attack::new("x32-call", "makes a denied call by x32's numbers", |_| {
            const X32: libc::c_long = 0x4000_0000;
            super::super::call::system_call(X32 | libc::SYS_unshare, &mut [libc::CLONE_NEWUTS.into()]).map(drop)
        }),
    ],
};

/// Counts the processor time of `pid`; of itself if that is 0.
pub(super) fn count(pid: i32) -> io::Result<()> {
    let mut event = halves(&[1, 128, 0, 0]);
    event.resize(128, 0);
    call!(SYS_perf_event_open, &event, pid, -1, -1, 0).map(drop)
}

fn open_by_handle(on: &Target) -> io::Result<()> {
    let root = std::fs::File::open(on.mine("").parent().unwrap_or(std::path::Path::new("/")))?;
    let (mut handle, mut mount) = ([0; 136], [0; 4]);
    handle[0] = 128;
    let taken = call!(SYS_name_to_handle_at, root.as_raw_fd(), c"", &mut handle, &mut mount, libc::AT_EMPTY_PATH);
    let opened = call!(SYS_open_by_handle_at, root.as_raw_fd(), &mut handle, libc::O_RDONLY);
    taken.and(opened).map(drop)
}
