//! Programs of its own, from memory: they are in the same jail, and so the worst attacks are tried from inside one.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

use rustix::fs::MemfdFlags;

use super::super::{
    Attack, Canaries, Group, Target,
    call::call,
    canary::{Processes, SECRET},
};

const OWN: &str = "programs may make programs, as compilers and interpreters do; they stay in the jail";

pub(super) static GROUP: Group = Group {
    title: "Programs from memory",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("execute-memory", "executes a program that is in no file system", |_| {
            Err(execute("/bin/true")?.exec())
        })
        .everywhere(OWN),
        Attack::new(
            "read-environment-from-memory-program",
            "the same, then reads another process's environment",
            |on| again(on, "read-environment"),
        ),
        Attack::new("kill-from-memory-program", "the same, then kills another process", |on| again(on, "kill-process"))
            .weak("Landlock before ABI 6 knows no signals"),
        Attack::new("new-users-from-memory-program", "the same, then makes users of its own", |on| {
            again(on, "new-users")
        }),
        Attack::new("read-passwords-from-memory-program", "the same, then opens `/etc/shadow`", |on| {
            again(on, "read-passwords")
        }),
        Attack::new("write-own-memory", "writes into its own memory by `/proc/self/mem`, as debuggers do", |_| {
            use std::os::unix::fs::FileExt as _;
            let own = File::options().write(true).open("/proc/self/mem")?;
            own.write_all_at(&SECRET.to_ne_bytes(), Processes::address())
        }),
    ],
};

/// Executes the file that `program` describes; returns only if that fails.
pub(super) fn execute_descriptor(program: &OwnedFd) -> io::Result<()> {
    let nothing = super::super::call::words(&[0]);
    // No arguments: the kernel gives it one that is empty.
    call!(SYS_execveat, program.as_raw_fd(), c"", &nothing, &nothing, libc::AT_EMPTY_PATH).map(drop)
}

/// A copy of `program` in memory, to be executed.
fn execute(program: &str) -> io::Result<Command> {
    let memory = rustix::fs::memfd_create("drydock", MemfdFlags::empty())?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    io::copy(&mut File::open(program)?, &mut File::from(memory.try_clone()?))?;
    // It has to stay open until it is executed.
    std::mem::forget(memory);
    Ok(Command::new(path))
}

/// Executes this program again from memory, for another attack on the same target.
fn again(on: &Target, attack: &str) -> io::Result<()> {
    let mut facts = on.facts.clone();
    facts.put("pids", on.process()?.pid.to_string());
    facts.put("of", "0");
    Err(execute("/proc/self/exe")?.args(["probe", "attack", attack]).args(facts.to_args()).exec())
}
