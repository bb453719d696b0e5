//! The agent's processes: started in a group of their own, stopped politely then firmly, and none left behind.
//!
//! Owns every process an attempt leads to, those that left its group included: the worker is a child subreaper
//! (`PR_SET_CHILD_SUBREAPER`, prctl(2)), so they stay its descendants, and each carries the attempt's mark in its environment.
//! A process that wipes its environment, leaves its group, loses its parents and leaves the workspace's directories, all of
//! it, cannot be told from another attempt's: it lives until a sweep that finds no other agent running. Closing that gap needs
//! a cgroup or a process namespace, which isolation levels bring.

mod children;
mod freeze;
mod strays;
mod sweep;
mod table;

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use drydock_domain::AttemptId;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::error::AgentError;
use children::Registered;
pub(super) use freeze::Frozen;
pub use strays::end_strays;

/// What to start.
pub(super) struct Start {
    pub(super) line: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) workspace: PathBuf,
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

/// How to recognize what belongs to an attempt.
#[derive(Clone, Debug)]
pub(super) struct Belongings {
    pub(super) attempt: AttemptId,
    /// The attempt's own directories: no other process has business there.
    pub(super) directories: Vec<PathBuf>,
}

/// A running agent. Dropping it unfinished kills its group.
pub(super) struct Running {
    child: Child,
    leader: Pid,
    finished: bool,
    _registered: Registered,
}

/// Starts the program in its own process group with an empty standard input.
///
/// # Errors
/// As the system says; [`agents_own_fault`] tells whose fault it is.
pub(super) fn start(start: Start) -> io::Result<Running> {
    let mut command = Command::new(&start.line[0]);
    command.args(&start.line[1..]).env_clear().envs(start.environment).current_dir(&start.workspace);
    command.stdin(Stdio::null()).stdout(start.stdout).stderr(start.stderr).process_group(0);
    let (child, registered) = children::spawn(&mut command)?;
    let leader = registered.pid();
    Ok(Running { child, leader, finished: false, _registered: registered })
}

/// Whether a start failed because of the command line rather than for want of something of ours.
pub(super) fn agents_own_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // InvalidInput is the standard library's word for a NUL byte in an argument.
    error.kind() == io::ErrorKind::InvalidInput
        || Errno::from_io_error(error).is_some_and(|errno| {
            [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::NOEXEC, Errno::TOOBIG, Errno::NOTDIR, Errno::ISDIR]
                .into_iter()
                .chain([Errno::LOOP, Errno::NAMETOOLONG, Errno::TXTBSY, Errno::INVAL])
                .any(|own| own == errno)
        })
}

impl Running {
    /// Waits for the program itself, not for what it started.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus, AgentError> {
        let waited = self.child.wait().await;
        waited.map_err(|source| AgentError::Processes { operation: "wait for", source })
    }

    /// The process group's leader.
    pub(super) const fn leader(&self) -> Pid {
        self.leader
    }

    /// SIGTERM to the group, SIGKILL after `grace` (at once when it is zero). A frozen one is woken to hear it.
    pub(super) async fn stop(&mut self, grace: Duration) -> Result<(), AgentError> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            self.signal(Signal::CONT);
        }
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.signal(Signal::KILL);
            self.wait().await?;
        }
        Ok(())
    }

    /// Kills everything of the attempt that still lives, and returns when it is gone.
    pub(super) async fn sweep(mut self, belongings: Belongings) -> Result<(), AgentError> {
        let leader = self.leader;
        let swept = tokio::task::spawn_blocking(move || sweep::sweep(leader, &belongings)).await;
        self.finished = true;
        swept.map_err(|error| AgentError::Processes { operation: "end", source: error.into() })?
    }

    /// A group whose leader was reaped is left to the sweep: its number may belong to another by now.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some() {
            // ESRCH: it ended meanwhile. EPERM: it changed its user; the sweep reports it as a survivor.
            let _ = kill_process_group(self.leader, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.finished {
            self.signal(Signal::KILL);
        }
    }
}
