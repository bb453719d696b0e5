//! Which children the worker started itself, and the reaping of the others: those it adopted.
//!
//! Process-wide because a process has one list of children. It relies on one rule: whatever else the worker starts stays in
//! the worker's own process group.

use std::{
    io,
    process::{Child, Command},
    sync::{
        Mutex, MutexGuard, Once, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

use super::table::{self, Process};

/// A number may be listed twice for an instant: it is free again once reaped, and forgotten only after the sweep.
static STARTED: Mutex<Vec<i32>> = Mutex::new(Vec::new());
/// Shared while a child is being started, exclusive while somebody decides who was adopted: a child is always registered
/// before anybody can take it for an adopted one.
static STARTING: RwLock<()> = RwLock::new(());
static SUBREAPER: Once = Once::new();
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// Tries when a program is still open for writing elsewhere (ETXTBSY): another thread's fork may hold it for an instant.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A child the worker started; forgotten when dropped.
pub(super) struct Registered(Pid);

impl Registered {
    pub(super) fn pid(&self) -> Pid {
        self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut list = started();
        if let Some(at) = list.iter().position(|&pid| pid == raw(self.0)) {
            list.swap_remove(at);
        }
    }
}

/// Starts a child of the calling thread.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Registered)> {
    SUBREAPER.call_once(|| match set_child_subreaper(Some(getpid())) {
        Ok(()) => ADOPTS.store(true, Ordering::Relaxed),
        Err(error) => {
            tracing::warn!(%error, "cannot adopt what agents leave behind, only processes in their group will be found");
        }
    });
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let mut tries = 1;
    let child = loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            spawned => break spawned?,
        }
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
    started().push(raw(pid));
    Ok((child, Registered(pid)))
}

/// Whether what loses its parents becomes a child of this process.
pub(super) fn adopts() -> bool {
    ADOPTS.load(Ordering::Relaxed)
}

/// Whether this is a process the worker adopted: its child, not started by it, and not of its own group.
pub(super) fn is_adopted(process: &Process, own: &Process) -> bool {
    process.parent == own.pid && process.group != own.group && !started().contains(&process.pid)
}

/// Whether `leader` is the only agent there is. Asked after the table of processes was read: a child that is in it, but was
/// not registered yet, is by the time this answers, so that nobody takes it for an adopted one.
pub(super) fn is_alone(leader: Pid) -> bool {
    let _exclusive = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    started().iter().all(|&pid| pid == raw(leader))
}

/// Reaps `pid` if it is dead and was adopted, and says whether it did.
pub(super) fn reap(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return false;
    };
    // Nothing can be started meanwhile: if the number is a started child's by now, that child is on the list.
    let _exclusive = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let ours = started().contains(&raw(pid)) || is_of_own_group(raw(pid));
    // ECHILD: another sweep was faster.
    !ours && waitpid(Some(pid), WaitOptions::NOHANG).is_ok_and(|reaped| reaped.is_some())
}

/// Read from the table: the number of a group that was begun outside of this PID namespace is 0, which no library's type holds.
fn is_of_own_group(pid: i32) -> bool {
    let group = |pid| table::one(pid).map(|process| process.group);
    group(pid).is_some_and(|of| Some(of) == group(raw(getpid())))
}

fn started() -> MutexGuard<'static, Vec<i32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
