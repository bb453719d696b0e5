//! Signals to processes outside: to end, stop or merely find them.

use std::{
    io,
    io::Write as _,
    os::{fd::AsRawFd as _, unix::net::UnixStream},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal, test_kill_process,
};

use super::super::{
    Attack, Canaries, Group, Target,
    call::{call, halves},
};

const WEAK: &str = "Landlock before ABI 6 knows no signals";
const NUMBERS: &str =
    "process numbers are the machine's, and the kernel lets anybody ask what it says of one without reading it";

pub(super) static GROUP: Group = Group {
    title: "Signals",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("kill-process", "SIGKILL to another process", |on| Ok(kill_process(on.pid()?, Signal::KILL)?))
            .controlled()
            .weak(WEAK),
        Attack::new("stop-process", "SIGSTOP to another process", |on| Ok(kill_process(on.pid()?, Signal::STOP)?))
            .controlled()
            .weak(WEAK),
        Attack::new("terminate-process", "SIGTERM to another process", |on| Ok(kill_process(on.pid()?, Signal::TERM)?))
            .controlled()
            .weak(WEAK),
        Attack::new("find-process-by-signal", "signal 0 to another process", |on| Ok(test_kill_process(on.pid()?)?))
            .controlled()
            .weak(WEAK),
        Attack::new("kill-process-group", "SIGTERM to another process's group", |on| {
            Ok(kill_process_group(on.pid()?, Signal::TERM)?)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("kill-thread", "SIGTERM to another process's thread (`tgkill`)", |on| {
            let pid = raw(on)?;
            call!(SYS_tgkill, pid, pid, libc::SIGTERM).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("kill-thread-by-number", "SIGTERM to a thread by its number alone (`tkill`)", |on| {
            call!(SYS_tkill, raw(on)?, libc::SIGTERM).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("queue-signal", "a signal with data to another process (`rt_sigqueueinfo`)", |on| {
            call!(SYS_rt_sigqueueinfo, raw(on)?, libc::SIGUSR1, &from_program()).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("queue-signal-to-thread", "the same to a thread (`rt_tgsigqueueinfo`)", |on| {
            let pid = raw(on)?;
            call!(SYS_rt_tgsigqueueinfo, pid, pid, libc::SIGUSR1, &from_program()).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("signal-by-pid-descriptor", "SIGTERM by a descriptor of another process", |on| {
            let process = pidfd_open(on.pid()?, PidfdFlags::empty())?;
            Ok(pidfd_send_signal(&process, Signal::TERM)?)
        })
        .controlled()
        .weak(WEAK),
        Attack::new(
            "signal-by-descriptor-owner",
            "has the kernel send SIGIO to another process, as the owner of a pipe",
            |on| {
                let (reader, writer) = io::pipe()?;
                call!(SYS_fcntl, reader.as_raw_fd(), libc::F_SETOWN, raw(on)?)?;
                call!(SYS_fcntl, reader.as_raw_fd(), libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK)?;
                (&writer).write_all(b"x")?;
                dead(on)
            },
        )
        .controlled()
        .weak(WEAK),
        Attack::new(
            "signal-by-socket-owner",
            "has the kernel send SIGURG to another process, as the owner of a socket",
            |on| {
                let (one, other) = UnixStream::pair()?;
                call!(SYS_fcntl, one.as_raw_fd(), libc::F_SETOWN, raw(on)?)?;
                call!(SYS_sendto, other.as_raw_fd(), &b"x"[..], 1, libc::MSG_OOB, 0, 0)?;
                // Where it stays pending, only the side outside can see it.
                Err(io::Error::from_raw_os_error(libc::EPERM))
            },
        )
        .weak(WEAK),
        Attack::new("find-worker", "signal 0 to the worker", |on| {
            Ok(test_kill_process(on.number_of(on.facts.number("worker")?)?)?)
        })
        .weak(WEAK),
        Attack::new("find-first-process", "signal 0 to the machine's first process", |on| {
            Ok(test_kill_process(on.number_of(1)?)?)
        })
        .weak(WEAK),
        Attack::new("signal-everybody", "a signal to every process that it may reach (`kill(-1)`)", everybody)
            .weak(WEAK),
        Attack::new("open-pid-descriptor", "opens a descriptor of another process", |on| {
            Ok(pidfd_open(on.pid()?, PidfdFlags::empty()).map(drop)?)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("find-session", "asks in which session another process is", |on| {
            call!(SYS_getsid, on.pid()?.as_raw_nonzero().get()).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
    ],
};

pub(super) fn raw(on: &Target) -> io::Result<i32> {
    Ok(on.pid()?.as_raw_nonzero().get())
}

/// What comes with a signal (`siginfo_t`).
fn from_program() -> Vec<u8> {
    let mut info = halves(&[0; 32]);
    // `si_code` below 0 is a program's own.
    info[8..12].copy_from_slice(&(-1_i32).to_ne_bytes());
    info
}

/// Whether the canary process was killed. What it died of is delivered when it is next to run, so it is waited for.
fn dead(on: &Target) -> io::Result<()> {
    let process = pidfd_open(on.pid()?, PidfdFlags::empty())?;
    let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&wait))? {
        0 => Err(io::Error::from_raw_os_error(libc::EPERM)),
        _ => Ok(()),
    }
}

/// Where a signal to the canary is possible, one to everybody would reach it: that is answer enough. Only where it is
/// not the signal goes out, one that nobody minds and that stays pending at the canary for the side outside to see.
fn everybody(on: &Target) -> io::Result<()> {
    let Err(denied) = test_kill_process(on.pid()?) else { return Ok(()) };
    let nobody = |pid: i32| on.number_of(pid).and_then(|pid: Pid| Ok(test_kill_process(pid)?)).is_err();
    if nobody(on.facts.number("worker")?) && nobody(1) {
        let _ = call!(SYS_kill, -1, libc::SIGURG);
    }
    Err(denied.into())
}
