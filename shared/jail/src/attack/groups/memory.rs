//! The memory, descriptors and course of a process outside.

use std::{fs::OpenOptions, io, os::unix::fs::FileExt as _};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{
    super::{
        Attack, Canaries, Group, Target,
        call::{call, past_the_gate, words},
        canary::SECRET,
    },
    signals::raw,
};

const PTRACE_ATTACH: i32 = 16;
const PTRACE_SEIZE: i32 = 0x4206;

pub(super) static GROUP: Group = Group {
    title: "Memory of processes",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("attach", "stops and traces another process (`PTRACE_ATTACH`)", |on| trace(on, PTRACE_ATTACH)),
        Attack::new("seize", "traces another process (`PTRACE_SEIZE`)", |on| trace(on, PTRACE_SEIZE)),
        Attack::new("read-memory", "reads another process's memory (`process_vm_readv`)", |on| {
            copy(on, libc::SYS_process_vm_readv)
        }),
        Attack::new("write-memory", "writes another process's memory (`process_vm_writev`)", |on| {
            copy(on, libc::SYS_process_vm_writev)
        }),
        Attack::new("read-memory-file", "reads another process's memory by `/proc`", |on| {
            let mut found = [0; 8];
            OpenOptions::new().read(true).open(on.proc("mem")?)?.read_exact_at(&mut found, on.process()?.address)?;
            if found == SECRET.to_ne_bytes() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
        })
        .controlled(),
        Attack::new("write-memory-file", "writes another process's memory by `/proc`", |on| {
            let memory = OpenOptions::new().write(true).open(on.proc("mem")?)?;
            memory.write_all_at(b"overwritten", on.process()?.address)
        }),
        Attack::new("take-descriptor", "copies another process's descriptor (`pidfd_getfd`)", |on| {
            let process = pidfd_open(on.pid()?, PidfdFlags::empty())?;
            Ok(pidfd_getfd(&process, on.process()?.descriptor, PidfdGetfdFlags::empty()).map(drop)?)
        }),
        Attack::new("advise-memory", "has another process's memory put away (`process_madvise`)", |on| {
            let process = call!(SYS_pidfd_open, raw(on)?, 0)?;
            let ranges = words(&[on.process()?.address & !0xfff, 4096]);
            call!(SYS_process_madvise, process, &ranges, 1, libc::MADV_COLD, 0).map(drop)
        }),
        Attack::new("release-memory", "takes a dying process's memory (`process_mrelease`)", |on| {
            // One that does not die is refused for that alone.
            let process = call!(SYS_pidfd_open, raw(on)?, 0)?;
            past_the_gate(call!(SYS_process_mrelease, process, 0), libc::EINVAL)
        }),
        Attack::new("compare-descriptors", "compares its files with another process's (`kcmp`)", |on| {
            call!(SYS_kcmp, std::process::id(), raw(on)?, 2, 0, 0).map(drop)
        }),
        Attack::new("move-pages", "asks on which memory another process's pages are", |on| {
            let (pages, mut status) = (words(&[on.process()?.address & !0xfff]), [0; 4]);
            call!(SYS_move_pages, raw(on)?, 1, &pages, 0, &mut status, 0).map(drop)
        }),
        Attack::new("migrate-pages", "moves another process's pages to other memory", |on| {
            let node = words(&[1]);
            call!(SYS_migrate_pages, raw(on)?, 2, &node, &node).map(drop)
        }),
        Attack::new("find-locks", "asks where another process keeps its list of locks", |on| {
            let (mut head, mut length) = ([0; 8], [0; 8]);
            call!(SYS_get_robust_list, raw(on)?, &mut head, &mut length).map(drop)
        })
        .controlled(),
        Attack::new("count-instructions", "has the processor count another process's instructions", |on| {
            super::syscalls::count(raw(on)?)
        }),
    ],
};

/// Attaches. The tracer's end lets the process go.
fn trace(on: &Target, request: i32) -> io::Result<()> {
    call!(SYS_ptrace, request, raw(on)?, 0, 0).map(drop)
}

fn copy(on: &Target, number: libc::c_long) -> io::Result<()> {
    let mut own = SECRET.to_ne_bytes();
    let here = words(&[own.as_mut_ptr().addr() as u64, 8]);
    let there = words(&[on.process()?.address, 8]);
    super::super::call::system_call(
        number,
        &mut [raw(on)?.into(), (&here).into(), 1.into(), (&there).into(), 1.into(), 0.into()],
    )
    .map(drop)
}
