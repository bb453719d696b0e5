//! Ending everything an attempt left running. Processes are stopped (SIGSTOP) until no new one appears, then all are killed,
//! so that what forks faster than it can be listed is caught too.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::unix::ffi::OsStrExt as _,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{
    Belongings, children,
    table::{self, Process},
};
use crate::{environment::MARK, error::AgentError};

/// How long the dead may take to be gone. Killing is immediate, leaving a system call on a broken disk is not.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Looks until a process that shows no environment is taken to have none.
const UNCLEAR_LOOKS: u32 = 3;
/// Looks at most before killing what was found so far.
const FREEZE_LOOKS: u32 = 20;

/// Returns when nothing of the attempt lives.
pub(super) fn sweep(leader: Pid, belongings: &Belongings) -> Result<(), AgentError> {
    let failed = |source| AgentError::Processes { operation: "list", source };
    let deadline = Instant::now() + PATIENCE;
    let (mut pause, mut unclear_looks) = (FIRST_PAUSE, 0);
    let mut killed = BTreeSet::new();
    loop {
        let mut seen = look(leader, belongings, &killed).map_err(failed)?;
        if seen.members.is_empty() && (!seen.unclear || unclear_looks == UNCLEAR_LOOKS) {
            return Ok(());
        }
        unclear_looks += u32::from(seen.members.is_empty());
        if Instant::now() > deadline {
            return Err(AgentError::Survivors { count: seen.members.len(), seconds: PATIENCE.as_secs() });
        }
        for _ in 0..FREEZE_LOOKS {
            seen.members.iter().for_each(|&pid| signal(pid, Signal::STOP));
            let now = look(leader, belongings, &killed).map_err(failed)?;
            if now.members.is_subset(&seen.members) {
                break;
            }
            seen.members.extend(now.members);
        }
        seen.members.iter().for_each(|&pid| signal(pid, Signal::KILL));
        killed.extend(seen.members);
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What one look at the process table found.
struct Seen {
    /// The attempt's living processes.
    members: BTreeSet<i32>,
    /// Some process showed no environment, as one does that has none, but also one in the middle of execve(2).
    unclear: bool,
}

/// Finds the attempt's processes. Dead ones the worker adopted are reaped on the way. `killed` were found before: one that
/// is dying has neither environment nor directory any more, but may still hold files open.
fn look(leader: Pid, belongings: &Belongings, killed: &BTreeSet<i32>) -> io::Result<Seen> {
    let all = table::read()?;
    let own_pid = getpid().as_raw_nonzero().get();
    let Some(own) = all.iter().find(|process| process.pid == own_pid) else {
        return Err(io::Error::other("/proc does not show this process: it is another process namespace's"));
    };
    // Asked after the table was read: whatever an agent that starts now may lead to is not in it.
    let alone = children::is_alone(leader);
    let mark = format!("{MARK}={}", belongings.attempt);
    let group = leader.as_raw_nonzero().get();
    let known = all.iter().filter(|process| process.group == group || killed.contains(&process.pid));
    let mut members: BTreeSet<i32> = known.filter(|process| !process.is_dead()).map(|process| process.pid).collect();
    let mut unclear = false;
    for process in descendants(&all, own_pid) {
        if process.is_dead() {
            if children::is_adopted(process, own) {
                children::reap(process.pid);
            }
            continue;
        }
        let marked = process.environment_holds(mark.as_bytes());
        unclear |= marked.is_none();
        if members.contains(&process.parent)
            || marked == Some(true)
            || process.directory().is_some_and(|directory| inside(&directory, belongings))
            || (alone && children::is_adopted(process, own))
        {
            members.insert(process.pid);
        }
    }
    Ok(Seen { members, unclear })
}

pub(super) fn inside(directory: &std::path::Path, belongings: &Belongings) -> bool {
    // The kernel marks a removed directory; its name still tells whose it was.
    let bytes = directory.as_os_str().as_bytes();
    let directory =
        std::path::Path::new(std::ffi::OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)));
    belongings.directories.iter().any(|own| directory.starts_with(own))
}

/// Everything below `root`, parents before children.
pub(super) fn descendants(all: &[Process], root: i32) -> Vec<&Process> {
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let next = children.remove(&parent).unwrap_or_default();
        parents.extend(next.iter().map(|process| process.pid));
        found.extend(next);
    }
    found
}

pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // ESRCH: it ended meanwhile. EPERM: it changed its user, and will be counted as a survivor.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_come_after_their_parents() {
        let process = |pid, parent| Process { pid, parent, group: pid, state: b'S', ..Process::default() };
        let all = [process(9, 4), process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 2)];
        let found: Vec<i32> = descendants(&all, 2).iter().map(|process| process.pid).collect();
        assert_eq!(found.len(), 4);
        let place = |pid| found.iter().position(|&found| found == pid).unwrap();
        assert!(place(3) < place(4) && place(4) < place(9) && found.contains(&6));
    }
}
