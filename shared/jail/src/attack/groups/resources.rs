//! Limits of its own, raised or passed.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    super::{
        Attack, Canaries, Group,
        call::{call, halves},
        suite::{FILE_BYTES, OPEN_FILES},
    },
    privileges::found,
};

pub(super) static GROUP: Group = Group {
    title: "Limits",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("dump-core", "allows itself core dumps, which may hold secrets", |_| raise(Resource::Core)),
        Attack::new("lock-memory", "allows itself to lock memory", |_| raise(Resource::Memlock)),
        Attack::new("allow-message-queues", "allows itself POSIX message queues", |_| raise(Resource::Msgqueue)),
        Attack::new("open-too-many-files", "opens more files than it may", |_| {
            let files: io::Result<Vec<File>> = (0..=OPEN_FILES).map(|_| File::open("/dev/null")).collect();
            files.map(drop)
        }),
        Attack::new("write-too-long-file", "writes a longer file than it may", |on| {
            File::create(on.mine("long"))?.write_all_at(b"x", FILE_BYTES)
        }),
        Attack::new("run-before-others", "raises its own priority", |_| {
            Ok(rustix::process::setpriority_process(None, -1)?)
        }),
        Attack::new("run-in-real-time", "runs before all ordinary programs", |_| {
            call!(SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &halves(&[1])).map(drop)
        }),
        Attack::new("read-before-others", "reads and writes before all others", |_| {
            call!(SYS_ioprio_set, 1, 0, 1 << 13).map(drop)
        }),
    ],
};

/// One more than the jail's limit of everything, or of nothing.
fn raise(resource: Resource) -> io::Result<()> {
    const MORE: u64 = 1 << 17;
    if getrlimit(resource).maximum.is_none_or(|limit| limit >= MORE) {
        return found(true);
    }
    Ok(setrlimit(resource, Rlimit { current: Some(MORE), maximum: Some(MORE) })?)
}
