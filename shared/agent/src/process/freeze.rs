//! Stopping an attempt's processes for a while (SIGSTOP) and letting exactly those go on (SIGCONT): one that had stopped by
//! itself stays so. A cgroup's freezer would do this at once and unseen; it comes with the isolation levels that have one.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{
    Belongings, sweep,
    table::{self, Process},
};
use crate::environment::MARK;

/// Looks until what forks faster than it can be listed is stopped; each look stops all it finds.
const LOOKS: u32 = 20;
/// State of a stopped process (`proc_pid_stat(5)`).
const STOPPED: u8 = b'T';

/// The processes stopped here.
#[derive(Debug, Default)]
pub(crate) struct Frozen(BTreeSet<i32>);

impl Frozen {
    /// Stops whatever of the attempt runs.
    pub(crate) fn stop(&mut self, leader: Pid, belongings: &Belongings) {
        for _ in 0..LOOKS {
            let running: Vec<i32> = members(leader, belongings)
                .into_iter()
                .filter(|process| process.state != STOPPED && !self.0.contains(&process.pid))
                .map(|process| process.pid)
                .collect();
            if running.is_empty() {
                return;
            }
            running.iter().for_each(|&pid| signal(pid, Signal::STOP));
            self.0.extend(running);
        }
    }

    /// Lets what was stopped here go on.
    pub(crate) fn go_on(&mut self, leader: Pid, belongings: &Belongings) {
        let frozen = std::mem::take(&mut self.0);
        // A number that is another's by now is no member.
        for process in members(leader, belongings).iter().filter(|process| frozen.contains(&process.pid)) {
            signal(process.pid, Signal::CONT);
        }
    }
}

/// The attempt's living processes: its group, what carries its mark, works in its directories or comes from one of these.
pub(super) fn members(leader: Pid, belongings: &Belongings) -> Vec<Process> {
    let all = table::read().unwrap_or_else(|error| {
        tracing::error!(%error, "failed to list the agent's processes");
        Vec::new()
    });
    let mark = format!("{MARK}={}", belongings.attempt);
    let group = leader.as_raw_nonzero().get();
    let mut found = BTreeSet::new();
    for process in sweep::descendants(&all, getpid().as_raw_nonzero().get()) {
        let belongs = process.group == group
            || found.contains(&process.parent)
            || process.environment_holds(mark.as_bytes()) == Some(true)
            || process.directory().is_some_and(|directory| sweep::inside(&directory, belongings));
        if belongs && !process.is_dead() {
            found.insert(process.pid);
        }
    }
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // ESRCH: it ended meanwhile. EPERM: it changed its user; the lease it runs without then fences its result.
        let _ = kill_process(pid, signal);
    }
}
