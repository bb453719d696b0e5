//! Which children the worker started itself, so that it can reap the ones it adopted without taking these from their waiters.
//!
//! Process-wide because a process has one list of children. It relies on one rule: whatever else the worker starts stays in
//! the worker's own process group.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::process::{Child, Command};

use super::table::Process;

static STARTED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static SUBREAPER: Once = Once::new();

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
        started().remove(&self.0.as_raw_nonzero().get());
    }
}

/// Starts a child. The list is locked meanwhile: a child that ends at once must not be taken for an adopted one.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Registered)> {
    SUBREAPER.call_once(|| {
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::warn!(%error, "cannot adopt what agents leave behind, only processes in their group will be found");
        }
    });
    let mut list = started();
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
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
    list.insert(pid.as_raw_nonzero().get());
    Ok((child, Registered(pid)))
}

/// Whether this is a process the worker adopted: its child, not started by it, and not of its own group.
pub(super) fn is_adopted(process: &Process, own: &Process) -> bool {
    process.parent == own.pid && process.group != own.group && !started().contains(&process.pid)
}

/// Whether `leader` is the only agent there is.
pub(super) fn is_alone(leader: Pid) -> bool {
    let leader = leader.as_raw_nonzero().get();
    started().iter().all(|&pid| pid == leader)
}

/// Reaps this dead process if it was adopted. A number that is free again after the check cannot be a child's: children are
/// registered before they can be seen dead, and this process was dead before the check.
pub(super) fn reap(process: &Process, own: &Process) {
    if let (true, Some(pid)) = (is_adopted(process, own), Pid::from_raw(process.pid)) {
        // ECHILD: another sweep was faster.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

fn started() -> MutexGuard<'static, BTreeSet<i32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
