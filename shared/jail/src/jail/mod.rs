//! One jail, from the outside in: this process becomes its supervisor, the namespace's first process is between, the program is inside.

mod domain;
mod fate;
mod filter;
mod inner;
mod namespace;
mod privileges;
mod report;
mod supervise;
mod sys;
mod view;

pub use filter::FILTER_VERSION;
pub use view::PROGRAMS;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

use drydock_domain::Isolation;
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior},
};

use self::{fate::Fate, report::Worker, supervise::Child, sys::Forked};
use crate::{Policy, Started};

/// What a helper ends with that ran nothing.
const REFUSED: i32 = 125;

/// The answer of [`run`].
pub(crate) enum Done {
    /// The program ended; this process is to end the same way.
    Ended(Fate),
    /// Nothing was run.
    NotRun,
}

/// Runs a program in a jail. Returns when nothing of it is left.
pub(crate) fn run(policy: &Policy, program: &[OsString]) -> Done {
    let mut worker = match enter() {
        Ok(worker) => worker,
        Err(error) => {
            Worker::by_hand().started(&Started::Refused(error.to_string()));
            return Done::NotRun;
        }
    };
    match supervised(policy, program, &mut worker) {
        Ok(done) => done,
        Err(error) => {
            let started = Started::Refused(error.to_string());
            worker.started(&started);
            Done::NotRun
        }
    }
}

/// Ends this process as its program did, for whoever started it by hand.
pub(crate) fn end_as(done: &Done) -> ! {
    match done {
        Done::Ended(Fate::Exited(code)) => sys::exit_now(*code),
        Done::Ended(Fate::Signaled(signal)) => sys::end_by(*signal),
        Done::NotRun => sys::exit_now(REFUSED),
    }
}

/// Nothing of whoever started this is left but its outputs and the way to it.
fn enter() -> io::Result<Worker> {
    sys::close_from(3)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Worker::from_stdin()
}

fn supervised(policy: &Policy, program: &[OsString], worker: &mut Worker) -> io::Result<Done> {
    let is_scoped = policy.level == Isolation::Landlock;
    set_child_subreaper(rustix::process::getpid().into())?;
    if is_scoped {
        domain::enclose_supervisor()?;
    }
    let signals = supervise::prepare()?;
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    let (fate, write_fate) = pipe_with(PipeFlags::CLOEXEC)?;
    let in_namespace = policy.level == Isolation::Namespace;
    let (flags, owner) = (if in_namespace { namespace::flags(policy) } else { 0 }, namespace::Owner::current());
    let what = if in_namespace { "new namespaces" } else { "new process" };
    let child = match sys::fork(flags).map_err(|error| io::Error::other(format!("{what}: {error}")))? {
        Forked::Child => {
            // Only the supervisor's end of it tells the worker that the supervisor is gone.
            worker.leave();
            if in_namespace { first(policy, owner, program, tell, write_fate) } else { last(policy, program, tell) }
        }
        Forked::Parent(pid) => Child { pid, leads_group: !in_namespace },
    };
    drop((tell, write_fate));
    let done = attend(&child, (told, fate), &signals, worker, is_scoped);
    if done.is_err() {
        // Whatever it was, nothing of the jail outlives its supervisor's trust in it.
        child.kill();
        let _swept = supervise::end_children();
    }
    done
}

/// From the fork to the end of everything.
fn attend(
    child: &Child,
    (told, fate): (OwnedFd, OwnedFd),
    signals: &OwnedFd,
    worker: &Worker,
    is_scoped: bool,
) -> io::Result<Done> {
    give_up()?;
    let started = heard(told, child)?;
    worker.started(&started);
    let status = supervise::watch(child, signals, Some(worker))?;
    let killed = if is_scoped { supervise::end_all()? } else { supervise::end_children()? };
    if !matches!(started, Started::Running { .. }) {
        return Ok(Done::NotRun);
    }
    let fate = Fate::read(fate)?.unwrap_or_else(|| status.into());
    worker.ended(fate, killed);
    Ok(Done::Ended(fate))
}

/// After the fork: root's namespaces can be mapped by those alone who had a capability when they were made (`verify_root_map` of
/// `kernel/user_namespace.c`), and the map belongs to root where the process cannot be dumped.
fn give_up() -> io::Result<()> {
    privileges::drop_all()?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// What the child says until it has become the program: that it is walled in, and then nothing if it did.
fn heard(told: OwnedFd, child: &Child) -> io::Result<Started> {
    let mut line = String::new();
    File::from(told).read_to_string(&mut line)?;
    match line.strip_prefix(inner::WALLED_IN) {
        Some("") => Ok(Started::Running { pid: child.program() }),
        Some(why) => why.parse().map_err(io::Error::other),
        None if line.is_empty() => Ok(Started::Refused("it was ended before it was walled in".to_owned())),
        None => line.parse().map_err(io::Error::other),
    }
}

fn say(mut tell: &File, started: &Started) {
    // A supervisor that is gone hears nothing.
    let _gone = write!(tell, "{started}");
}

/// The program's own process.
fn last(policy: &Policy, program: &[OsString], tell: OwnedFd) -> ! {
    let tell = File::from(tell);
    let why = inner::become_program(policy, program, &tell);
    say(&tell, &why);
    sys::exit_now(REFUSED)
}

/// The first process of the namespaces: furnishes them, starts the program, and takes everything with it when that ends.
fn first(policy: &Policy, owner: namespace::Owner, program: &[OsString], tell: OwnedFd, fate: OwnedFd) -> ! {
    // Otherwise it would live on without its supervisor, which may be killed from outside.
    let started = sys::end_with_parent()
        .and_then(|()| namespace::furnish(policy, owner))
        .and_then(|()| supervise::prepare())
        .and_then(|signals| {
            let forked = sys::fork(0)?;
            Ok((signals, forked))
        });
    match started {
        Ok((_, Forked::Child)) => last(policy, program, tell),
        Ok((signals, Forked::Parent(pid))) => {
            drop(tell);
            if give_up().is_err() {
                sys::exit_now(REFUSED);
            }
            let child = Child { pid, leads_group: true };
            let status = supervise::watch(&child, &signals, None);
            status.map(Fate::from).map_or_else(|_| sys::exit_now(REFUSED), |status| status.write(fate));
            sys::exit_now(0)
        }
        Err(error) => {
            say(&File::from(tell), &Started::Refused(error.to_string()));
            sys::exit_now(REFUSED)
        }
    }
}
