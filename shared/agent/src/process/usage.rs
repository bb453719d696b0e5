//! What the processes of one attempt take, as `/proc` tells it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::{param::clock_ticks_per_second, process::Pid};

use super::{Belongings, freeze, sweep, table, table::Process};

/// How old a table of processes may be.
const FRESH: Duration = Duration::from_millis(250);

/// And at most, where it takes long to read.
const OLDEST: Duration = Duration::from_secs(1);

/// Measures one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(super) leader: Pid,
    pub(super) belongings: Belongings,
    /// Behind walls nothing of it is anywhere but below the first process.
    pub(super) is_walled: bool,
}

/// What its living processes take.
pub(crate) struct Usage {
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Time on processors, with that of children that were waited for: whoever ignores its children's end hides what they took.
    pub(crate) cpu_time: Duration,
    living: Vec<Process>,
}

impl Meter {
    /// Looks at it. Blocking.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub(crate) fn read(&self) -> io::Result<Usage> {
        let living = if self.is_walled {
            let all = recent()?;
            let below = sweep::descendants(&all, self.leader.as_raw_nonzero().get());
            below.into_iter().cloned().collect()
        } else {
            freeze::members(self.leader, &self.belongings)
        };
        // The dead that nobody has reaped are tasks of the system, and their time was taken.
        let ticks: u64 = living.iter().map(|process| process.ticks).sum();
        Ok(Usage {
            tasks: living.iter().map(|process| process.threads.max(1)).sum(),
            cpu_time: Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1)),
            living,
        })
    }
}

impl Usage {
    /// Bytes of memory, those that processes share counted for each of them.
    pub(crate) fn resident_bytes(&self) -> u64 {
        // One whose first thread has ended shows no memory, whatever the others have.
        if self.living.iter().any(is_headless) { u64::MAX } else { self.living.iter().map(resident).sum() }
    }

    /// Bytes of memory and swap, those that processes share divided among them (`smaps_rollup`, `proc_pid_smaps(5)`). Slow for much memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.living
            .iter()
            .map(|process| {
                match proportional(if is_headless(process) { another_thread(process.pid) } else { process.pid }) {
                    // One that does not show it, as by PR_SET_DUMPABLE, is counted with all that it has.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => resident(process),
                    // One that has ended meanwhile has nothing.
                    memory => memory.unwrap_or_default(),
                }
            })
            .sum()
    }
}

/// A table of processes that is not old: one for all who ask at about the same time.
fn recent() -> io::Result<Arc<Vec<Process>>> {
    static LAST: Mutex<Option<(Instant, Arc<Vec<Process>>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if let Some((until, all)) = &*last
        && *until > now
    {
        return Ok(all.clone());
    }
    let all = Arc::new(table::read()?);
    // A long one is read more seldom: a fiftieth of one core is enough.
    *last = Some((now + (now.elapsed() * 50).clamp(FRESH, OLDEST), all.clone()));
    Ok(all)
}

/// Whether its first thread has ended and others go on.
fn is_headless(process: &Process) -> bool {
    process.is_dead() && process.threads > 1
}

/// A thread of it that goes on, by whose number its memory can be read as well.
fn another_thread(pid: i32) -> i32 {
    let threads = fs_err::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let numbers = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    numbers.into_iter().find(|thread| *thread != pid).unwrap_or(pid)
}

fn resident(process: &Process) -> u64 {
    process.pages * rustix::param::page_size() as u64
}

fn proportional(pid: i32) -> io::Result<u64> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Ok((kilobytes("Pss:").unwrap_or_default() + kilobytes("SwapPss:").unwrap_or_default()) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_shared_is_counted_once() {
        let own = i32::try_from(std::process::id()).unwrap();
        let process = table::one(own).unwrap();
        let alone = proportional(own).unwrap();
        assert!(alone > 0 && alone < resident(&process), "{alone} of {}", resident(&process));
    }
}
