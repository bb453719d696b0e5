//! Control groups, and other files by which the kernel is told what to do, or tells. They are opened for writing, never written.

use std::{fs::File, io, path::Path};

use super::{
    super::{Attack, Canaries, Group, Target},
    files::to_write,
};

const ROOT: &str =
    "what belongs to root in `/proc` is root's to read, without capabilities too: a worker that is not root cannot";

pub(super) static GROUP: Group = Group {
    title: "Files of the kernel",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("leave-cgroup", "opens the list of a cgroup's processes for writing", |on| {
            first(
                on,
                &[
                    "/sys/fs/cgroup/cgroup.procs",
                    "/sys/fs/cgroup/unified/cgroup.procs",
                    "/sys/fs/cgroup/pids/cgroup.procs",
                ],
            )
        })
        .controlled(),
        Attack::new("set-release-agent", "opens the name of the program that ends a cgroup for writing", |on| {
            first(on, &["/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/pids/release_agent"])
        })
        .controlled(),
        Attack::new("set-memory-limit", "opens a cgroup's limit of memory for writing", |on| {
            first(on, &["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"])
        })
        .controlled(),
        Attack::new("set-host-name-by-file", "opens `/proc/sys/kernel/hostname` for writing", |on| {
            to_write(on, "/proc/sys/kernel/hostname")
        })
        .controlled(),
        Attack::new("set-core-pattern", "opens `/proc/sys/kernel/core_pattern` for writing", |on| {
            to_write(on, "/proc/sys/kernel/core_pattern")
        })
        .controlled(),
        Attack::new("set-process-limit", "opens `/proc/sys/kernel/pid_max` for writing", |on| {
            to_write(on, "/proc/sys/kernel/pid_max")
        })
        .controlled(),
        Attack::new("set-forwarding", "opens `/proc/sys/net/ipv4/ip_forward` for writing", |on| {
            to_write(on, "/proc/sys/net/ipv4/ip_forward")
        })
        .controlled(),
        Attack::new("drop-caches", "opens `/proc/sys/vm/drop_caches` for writing", |on| {
            to_write(on, "/proc/sys/vm/drop_caches")
        })
        .controlled(),
        Attack::new("trigger-sysrq", "opens `/proc/sysrq-trigger` for writing", |on| {
            to_write(on, "/proc/sysrq-trigger")
        })
        .controlled(),
        Attack::new("read-kernel-messages", "opens `/proc/kmsg`", |_| {
            use std::os::unix::fs::OpenOptionsExt as _;
            File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/proc/kmsg").map(drop)
        }),
        Attack::new("read-kernel-memory", "opens `/proc/kcore`", |_| File::open("/proc/kcore").map(drop)),
        Attack::new("read-page-counts", "opens `/proc/kpagecount`, which shows what memory others share", |_| {
            File::open("/proc/kpagecount").map(drop)
        })
        .everywhere(ROOT),
        Attack::new("read-by-worker-root", "reads a file outside by the worker's root", |on| {
            let worker: i32 = on.facts.number("worker")?;
            let held = on.around().join("held");
            File::open(format!("/proc/{worker}/root{}", held.display())).map(drop)
        }),
        Attack::new("set-event-helper", "opens the name of the program that hears of devices for writing", |on| {
            to_write(on, "/sys/kernel/uevent_helper")
        })
        .controlled(),
        Attack::new("suspend-machine", "opens `/sys/power/state` for writing", |on| to_write(on, "/sys/power/state"))
            .controlled(),
        Attack::new("stop-processor", "opens a processor's switch for writing", |on| {
            to_write(on, "/sys/devices/system/cpu/cpu1/online")
        })
        .controlled(),
        Attack::new("trace-kernel", "lists the kernel's tracing", |_| {
            std::fs::read_dir("/sys/kernel/tracing").map(drop)
        }),
        Attack::new("read-debug-files", "lists the kernel's files for debugging", |_| {
            std::fs::read_dir("/sys/kernel/debug").map(drop)
        }),
    ],
};

/// The first that is there: it depends on the version of cgroups.
fn first(on: &Target, paths: &[&str]) -> io::Result<()> {
    let there = paths.iter().find(|path| Path::new(path).exists());
    to_write(on, there.unwrap_or(&paths[0]))
}
