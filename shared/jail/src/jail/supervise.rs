//! Waiting for a child: its end, the worker's orders, signals; and then the end of all that it left behind.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, WaitStatus, getppid, kill_process, kill_process_group, test_kill_process, wait,
    },
};

use super::{report::Worker, sys};
use crate::Order;

/// What interrupts a supervisor.
const SIGNALS: [i32; 5] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

const REAPED_AT_ONCE: usize = 64;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The child, and how it is told to end.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// Whether it leads a process group that hears SIGTERM with it, or is the first process of a namespace, which passes it on.
    pub(super) leads_group: bool,
}

impl Child {
    /// The program's process id as this process sees it; 0 if the kernel does not tell. The program has just started: it is the only child of a
    /// namespace's first process.
    pub(super) fn program(&self) -> i32 {
        let own = self.pid.as_raw_nonzero().get();
        if self.leads_group {
            own
        } else {
            children_of(own).unwrap_or_default().first().map_or(0, |pid| pid.as_raw_nonzero().get())
        }
    }

    fn signal(&self, signal: Signal) {
        // ESRCH: it ended meanwhile.
        let _gone =
            if self.leads_group { kill_process_group(self.pid, signal) } else { kill_process(self.pid, signal) };
    }

    /// It, and its group if it has one by now.
    pub(super) fn kill(&self) {
        let _gone = kill_process(self.pid, Signal::KILL);
        self.signal(Signal::KILL);
    }

    fn terminate(&self) {
        self.signal(Signal::TERM);
        // One that is stopped hears nothing.
        self.signal(Signal::CONT);
    }
}

/// Blocks what would end a supervisor; called before there is a child, so that none is missed.
pub(super) fn prepare() -> io::Result<OwnedFd> {
    sys::signals(&SIGNALS)
}

/// Returns when the child has ended.
pub(super) fn watch(child: &Child, signals: &OwnedFd, worker: Option<&Worker>) -> io::Result<WaitStatus> {
    let mut more = false;
    loop {
        let socket = worker.and_then(Worker::socket);
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        fds.extend(socket.map(|socket| PollFd::new(socket, PollFlags::IN)));
        // Orders are heard however many of the dead there are.
        match poll(&mut fds, more.then_some(&NOW)) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let has_order = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        if let Some(worker) = worker.filter(|_| has_order) {
            match worker.order() {
                Order::Terminate => child.terminate(),
                Order::Kill => {
                    child.signal(Signal::KILL);
                    return ended(child);
                }
            }
        }
        while let Some(signal) = sys::next_signal(signals.as_fd()) {
            match signal {
                libc::SIGTERM => child.terminate(),
                libc::SIGCHLD => {}
                _ => child.signal(Signal::KILL),
            }
        }
        more = match reap(child.pid)? {
            Reaped::Child(status) => return Ok(status),
            Reaped::More => true,
            Reaped::All => false,
        };
    }
}

/// Waits for a child that was killed.
fn ended(child: &Child) -> io::Result<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(child.pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a look for the dead found.
enum Reaped {
    /// The child, which ended so.
    Child(WaitStatus),
    /// So many others that there may be more.
    More,
    /// All that there were, the child not among them.
    All,
}

/// Reaps whoever ended.
fn reap(child: Pid) -> io::Result<Reaped> {
    for _ in 0..REAPED_AT_ONCE {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => return Ok(Reaped::Child(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(Reaped::All),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Reaped::More)
}

/// Ends everything that is left in the domain, and answers how many that were. The supervisor adopts what loses its parents, so that
/// having no child means that nothing is left.
///
/// Only where this process may not signal its parent, which is outside: otherwise it would be in no domain, and "everything" the machine.
pub(super) fn end_all() -> io::Result<u32> {
    let is_enclosed = getppid().is_some_and(|parent| test_kill_process(parent) == Err(Errno::PERM));
    if is_enclosed {
        until_nothing(|| {
            sys::kill_everything();
            Ok(())
        })
    } else {
        end_children()
    }
}

/// The same without a domain: only children are known to be the jail's. One that dies leaves its own to the supervisor, so that all come
/// round, unless they start others faster.
///
/// # Errors
/// The kernel does not tell whose children there are (`CONFIG_PROC_CHILDREN`).
pub(super) fn end_children() -> io::Result<u32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    until_nothing(|| {
        for pid in children_of(own)? {
            // ESRCH: dead, not reaped yet.
            let _dead = kill_process(pid, Signal::KILL);
        }
        Ok(())
    })
}

/// Children of a process's main thread.
fn children_of(pid: i32) -> io::Result<Vec<Pid>> {
    let list = fs_err::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
}

fn until_nothing(kill: impl Fn() -> io::Result<()>) -> io::Result<u32> {
    let mut killed = 0;
    loop {
        kill()?;
        match wait(WaitOptions::empty()) {
            Ok(Some(_)) => killed += 1,
            Ok(None) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(killed),
            Err(error) => return Err(error.into()),
        }
    }
}
