//! The limits, processors and priorities of a process outside.

use rustix::{
    process::{Resource, Rlimit, prlimit, setpriority_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::{
    super::{
        Attack, Canaries, Group,
        call::{call, halves},
    },
    signals::raw,
};

const SAME_USER: &str =
    "the kernel lets a user's processes set each other's priorities, and Landlock has no right for it";

pub(super) static GROUP: Group = Group {
    title: "Limits and priorities of processes",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("limit-process", "lowers another process's limit of open files", |on| {
            let limit = Rlimit { current: Some(8), maximum: Some(8) };
            Ok(prlimit(Some(on.pid()?), Resource::Nofile, limit).map(drop)?)
        }),
        Attack::new("kill-by-cpu-limit", "has the kernel kill another process for the time it has used", |on| {
            let limit = Rlimit { current: Some(0), maximum: Some(0) };
            Ok(prlimit(Some(on.pid()?), Resource::Cpu, limit).map(drop)?)
        }),
        Attack::new("read-limits", "reads another process's limits", |on| {
            let mut limit = [0; 16];
            call!(SYS_prlimit64, raw(on)?, 7, 0, &mut limit).map(drop)
        }),
        Attack::new("slow-process", "makes another process the last to run", |on| {
            Ok(setpriority_process(Some(on.pid()?), 19)?)
        })
        .controlled()
        .residual(SAME_USER),
        Attack::new("pin-process", "binds another process to one processor", |on| {
            let mut one = CpuSet::new();
            one.set(
                (0..CpuSet::MAX_CPU).find(|cpu| sched_getaffinity(None).is_ok_and(|set| set.is_set(*cpu))).unwrap_or(0),
            );
            Ok(sched_setaffinity(Some(on.pid()?), &one)?)
        })
        .controlled()
        .residual(SAME_USER),
        Attack::new("idle-process", "lets another process run only when nobody else does", |on| {
            call!(SYS_sched_setscheduler, raw(on)?, libc::SCHED_IDLE, &halves(&[0])).map(drop)
        })
        .controlled()
        .residual(SAME_USER),
        Attack::new("set-scheduling-attributes", "the same by `sched_setattr`", |on| {
            let mut attributes = halves(&[48]);
            attributes.extend(halves(&[libc::SCHED_IDLE.cast_unsigned()]));
            attributes.resize(48, 0);
            call!(SYS_sched_setattr, raw(on)?, &attributes, 0).map(drop)
        })
        .controlled()
        .residual(SAME_USER),
        Attack::new("idle-process-input", "lets another process read and write only when nobody else does", |on| {
            call!(SYS_ioprio_set, 1, raw(on)?, 3 << 13).map(drop)
        })
        .controlled()
        .residual(SAME_USER),
        Attack::new("read-priority", "asks for another process's priority", |on| {
            call!(SYS_getpriority, libc::PRIO_PROCESS, raw(on)?).map(drop)
        })
        .controlled()
        .residual(SAME_USER),
    ],
};
