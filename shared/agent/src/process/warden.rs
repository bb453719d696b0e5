//! The thread behind one agent: starts it, waits for it, reaps it, and returns when nothing of it is left.
//!
//! A thread of its own because starting a program blocks until the program is loaded, and because its list of children is
//! then this agent's alone (see [`proof`]).

use std::{
    collections::BTreeSet,
    io,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::sync::oneshot;

use super::{
    Belongings, Running,
    children::{self, Registered},
    proof, sweep, table,
    walled::Voice,
};
use crate::error::AgentError;

/// A warden calls the system and little else.
const STACK: usize = 256 << 10;
/// Between two looks whether what was asked to end has.
const LOOK: Duration = Duration::from_millis(10);

/// An agent's first process.
pub(super) struct Leader {
    pub(super) pid: Pid,
    pub(super) belongings: Belongings,
    /// Whether its number may be another's by now.
    reaped: Mutex<bool>,
    /// The way to its supervisor, if it is walled in: then that is the first process.
    supervisor: Option<Voice>,
}

impl Leader {
    /// Signals the group. One whose leader was reaped is left to the sweep.
    pub(super) fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped {
            return;
        }
        if let Some(supervisor) = &self.supervisor {
            // Frozen with the others, it would hear nothing.
            let _ = kill_process_group(self.pid, Signal::CONT);
            supervisor.pass_on(signal);
        } else {
            // ESRCH: it ended meanwhile. EPERM: it changed its user; the sweep reports it as a survivor.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Whether the first process is a supervisor, above all else of the attempt.
    pub(super) fn is_walled(&self) -> bool {
        self.supervisor.is_some()
    }

    /// Kills the first process itself, whatever that leaves.
    pub(super) fn kill(&self) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// The agent's own program.
    fn program(&self) -> i32 {
        let own = self.pid.as_raw_nonzero().get();
        self.supervisor.as_ref().map_or(own, |supervisor| supervisor.program(own))
    }

    /// Ends what it started, children before their parents: SIGTERM, and SIGKILL for what is left after `grace`. Blocking. What has left
    /// its descendants, and what comes meanwhile, is the sweep's.
    pub(super) fn end_below(&self, grace: Duration) -> io::Result<()> {
        let deadline = Instant::now() + grace;
        let mut asked = BTreeSet::new();
        loop {
            let living = self.below()?;
            if living.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                living.iter().for_each(|&pid| sweep::signal(pid, Signal::KILL));
                return Ok(());
            }
            for &pid in &living {
                if asked.insert(pid) {
                    sweep::signal(pid, Signal::TERM);
                    sweep::signal(pid, Signal::CONT);
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Its living descendants, children before parents.
    fn below(&self) -> io::Result<Vec<i32>> {
        if *self.reaped.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Vec::new());
        }
        let all = table::read()?;
        let below = sweep::descendants(&all, self.program());
        Ok(below.into_iter().rev().filter(|process| !process.is_dead()).map(|process| process.pid).collect())
    }

    /// Waits for its end, then reaps it. Until then its number and its group's can be signalled safely.
    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        loop {
            match waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let status = {
            let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
            *reaped = true;
            child.wait()?
        };
        self.supervisor.as_ref().map_or(Ok(()), Voice::has_ended)?;
        Ok(status)
    }
}

/// Starts `command` under a warden.
pub(super) async fn start(command: Command, belongings: Belongings, supervisor: Option<Voice>) -> io::Result<Running> {
    let (sender, started) = oneshot::channel();
    let thread = thread::Builder::new().name("warden".to_owned()).stack_size(STACK);
    thread.spawn(move || guard(command, (belongings, supervisor), sender))?;
    started.await.unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
}

fn guard(
    mut command: Command,
    (belongings, supervisor): (Belongings, Option<Voice>),
    started: oneshot::Sender<io::Result<Running>>,
) {
    let (mut child, registered) = match children::spawn(&mut command) {
        Ok(spawned) => spawned,
        Err(error) => {
            let _nobody_waits = started.send(Err(error));
            return;
        }
    };
    // Our copies of the agent's ends of its pipes: they would keep the pipes open.
    drop(command);
    if let Some(error) = supervisor.as_ref().and_then(|supervisor| supervisor.hear_start().err()) {
        // It has run nothing, or says so: both are looked into.
        let _status = child.wait();
        let left = end(registered, &belongings);
        let _nobody_waits = started.send(left.map_err(io::Error::other).and(Err(error)));
        return;
    }
    let leader = Arc::new(Leader { pid: registered.pid(), belongings, reaped: Mutex::new(false), supervisor });
    let (exited, swept) = (oneshot::channel(), oneshot::channel());
    // Dropped unsent, it kills the group.
    let _nobody_waits = started.send(Ok(Running::new(leader.clone(), exited.1, swept.1)));
    let _nobody_waits = exited.0.send(leader.wait(&mut child));
    let _nobody_waits = swept.0.send(end(registered, &leader.belongings));
}

fn end(registered: Registered, belongings: &Belongings) -> Result<(), AgentError> {
    if proof::nothing_is_left() {
        return Ok(());
    }
    sweep::sweep(registered.pid(), belongings)
}
