//! The agent's processes: started in a group of their own, stopped politely then firmly, and none left behind.
//!
//! Owns every process an attempt leads to, those that left its group included: the worker is a child subreaper
//! (`PR_SET_CHILD_SUBREAPER`, prctl(2)), so they stay its descendants, and each carries the attempt's mark in its environment.
//! A process that wipes its environment, leaves its group, loses its parents and leaves the workspace's directories, all of
//! it, cannot be told from another attempt's: it lives until a sweep that finds no other agent running. Closing that gap needs
//! walls (`walled.rs`): then one process, which the agent cannot touch, is above all of it, and ends it whole.
//!
//! Most attempts leave nothing, and that is proved without looking at any other process (`proof.rs`); the walk through
//! `/proc` (`sweep.rs`) is for the rest.

mod children;
mod freeze;
mod proof;
mod sockets;
mod strays;
mod sweep;
mod table;
mod usage;
mod walled;
mod warden;

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use drydock_domain::AttemptId;
use rustix::process::{Pid, Signal};
use tokio::sync::oneshot;

use super::{error::AgentError, jail::Walls};
pub(super) use freeze::Frozen;
pub(super) use sockets::holders;
pub use strays::end_strays;
pub(crate) use usage::Meter;
use warden::Leader;

/// How long the kill of a jail may take: its supervisor waits for the dead to be gone.
const SUPERVISOR: Duration = Duration::from_secs(5);

/// What to start.
pub(super) struct Start {
    /// The program as a path. Without one the system would look along `PATH`, and start by fork(2) instead of vfork(2).
    pub(super) program: PathBuf,
    /// What it is walled in by.
    pub(super) walls: Option<Walls>,
    /// The command line; its first word is what the program learns as its name.
    pub(super) line: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) workspace: PathBuf,
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
    pub(super) belongings: Belongings,
}

/// How to recognize what belongs to an attempt.
#[derive(Clone, Debug)]
pub(super) struct Belongings {
    pub(super) attempt: AttemptId,
    /// The attempt's own directories: no other process has business there.
    pub(super) directories: Vec<PathBuf>,
}

impl Belongings {
    /// The directories are told as the kernel names them. Only what is above them is resolved, and once where they are
    /// neighbours: they themselves are no links, unless an agent made them so.
    pub(super) fn new(attempt: AttemptId, directories: &[&Path]) -> Self {
        let mut above: Option<(&Path, PathBuf)> = None;
        let mut resolved = Vec::with_capacity(directories.len());
        for &directory in directories {
            let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
                continue;
            };
            if above.as_ref().is_none_or(|(last, _)| *last != parent) {
                above = Some((parent, fs_err::canonicalize(parent).unwrap_or_else(|_| parent.to_owned())));
            }
            resolved.extend(above.as_ref().map(|(_, parent)| parent.join(name)));
        }
        Self { attempt, directories: resolved }
    }
}

/// A running agent. Dropping it unfinished kills its group; the rest of it is swept all the same.
pub(super) struct Running {
    leader: Arc<Leader>,
    finished: bool,
    exited: oneshot::Receiver<io::Result<ExitStatus>>,
    swept: oneshot::Receiver<Result<(), AgentError>>,
}

/// Starts the program in its own process group with an empty standard input.
///
/// # Errors
/// As the system says; [`agents_own_fault`] tells whose fault it is.
pub(super) async fn start(start: Start) -> io::Result<Running> {
    let (mut command, walled) = match &start.walls {
        Some(walls) => {
            let (command, voice) = walled::command(walls, &start.program, &start.line)?;
            (command, Some(voice))
        }
        None => {
            let mut command = Command::new(&start.program);
            command.arg0(&start.line[0]).args(&start.line[1..]).stdin(Stdio::null());
            (command, None)
        }
    };
    command.env_clear().envs(start.environment).current_dir(&start.workspace).process_group(0);
    command.stdout(start.stdout).stderr(start.stderr);
    warden::start(command, start.belongings, walled).await
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
    fn new(
        leader: Arc<Leader>,
        exited: oneshot::Receiver<io::Result<ExitStatus>>,
        swept: oneshot::Receiver<Result<(), AgentError>>,
    ) -> Self {
        Self { leader, finished: false, exited, swept }
    }

    /// Waits for the program itself, not for what it started. Once it has answered, it is not asked again.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus, AgentError> {
        let waited = (&mut self.exited).await.unwrap_or_else(|_| Err(io::Error::other("its thread ended")));
        waited.map_err(|source| AgentError::Processes { operation: "wait for", source })
    }

    /// The process group's leader.
    pub(super) fn leader(&self) -> Pid {
        self.leader.pid
    }

    /// What measures it while it runs.
    pub(super) fn meter(&self) -> Meter {
        Meter { leader: self.leader(), belongings: self.belongings(), is_walled: self.leader.is_walled() }
    }

    /// How to recognize what belongs to it.
    pub(super) fn belongings(&self) -> Belongings {
        self.leader.belongings.clone()
    }

    /// SIGTERM to the group, SIGKILL after `grace` (at once when it is zero). A frozen one is woken to hear it.
    pub(super) async fn stop(&mut self, grace: Duration) -> Result<(), AgentError> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            self.signal(Signal::CONT);
        }
        if tokio::time::timeout(grace, self.wait()).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::KILL);
        if tokio::time::timeout(SUPERVISOR, self.wait()).await.is_err() {
            // What is left of a jail that does not end is swept like any other.
            tracing::error!(attempt = %self.leader.belongings.attempt, "a jail does not end; its supervisor is killed");
            self.leader.kill();
            drop(self.wait().await);
        }
        Ok(())
    }

    /// The same from below: what the program started hears it before the program does. Half of `grace` is theirs.
    pub(super) async fn stop_from_below(&mut self, grace: Duration) -> Result<(), AgentError> {
        let leader = self.leader.clone();
        let half = grace / 2;
        let below = tokio::task::spawn_blocking(move || leader.end_below(half));
        let failed = |source| AgentError::Processes { operation: "list", source };
        below.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
        self.stop(half).await
    }

    /// Returns when everything of the attempt that still lived is killed and gone.
    pub(super) async fn sweep(mut self) -> Result<(), AgentError> {
        let swept = (&mut self.swept).await;
        self.finished = true;
        swept.map_err(|error| AgentError::Processes { operation: "end", source: io::Error::other(error) })?
    }

    fn signal(&self, signal: Signal) {
        self.leader.signal(signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.finished {
            self.signal(Signal::KILL);
        }
    }
}
