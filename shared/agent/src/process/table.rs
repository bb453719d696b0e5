//! The process table as `/proc` shows it (`proc_pid_stat(5)`). A process that ends while it is read is left out.

use std::{io, path::PathBuf};

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) state: u8,
    /// Time on processors in clock ticks, of its children that it waited for as well.
    pub(super) ticks: u64,
    /// Its threads.
    pub(super) threads: u64,
    /// Pages of memory that it has, shared ones included.
    pub(super) pages: u64,
}

impl Process {
    /// Dead and waiting to be reaped.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether its environment, as it was at its start, holds this entry; nothing when it shows none.
    pub(super) fn environment_holds(&self, entry: &[u8]) -> Option<bool> {
        let environment = fs_err::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let mut entries = environment.split(|&byte| byte == 0);
        (!environment.is_empty()).then(|| entries.any(|found| found == entry))
    }

    /// Whether an entry of its environment, as it was at its start, begins so.
    pub(super) fn environment_starts(&self, prefix: &[u8]) -> bool {
        let environment = fs_err::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry.starts_with(prefix))
    }

    /// Its working directory.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        fs_err::read_link(format!("/proc/{}/cwd", self.pid)).ok()
    }
}

/// Every process that can be seen.
pub(super) fn read() -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        all.extend(one(pid));
    }
    Ok(all)
}

/// One of them, if it can be seen.
pub(super) fn one(pid: i32) -> Option<Process> {
    parse(pid, &fs_err::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent group …`; the name may hold anything, brackets and newlines too, so the last bracket counts.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let mut number = || fields.next()?.parse().ok();
    let (parent, group) = (number()?, number()?);
    // As proc_pid_stat(5) numbers them, the fields so far are 1 to 5: 14 to 17 are times, 20 the threads, 24 the pages.
    let counts: Vec<u64> = fields.skip(8).map(|field| field.parse().unwrap_or_default()).take(11).collect();
    let count = |field: usize| counts.get(field - 14).copied().unwrap_or_default();
    let ticks = (14..=17).map(count).sum();
    Some(Process { pid, parent, group, state, ticks, threads: count(20), pages: count(24) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_confuse_the_parser() {
        let process = parse(7, b"7 (a) Z 1 (\n) S 5 6 6 0 -1 0 1 2 3 4 10 20 30 40 20 0 3 0 99 4096 17 0 0").unwrap();
        assert_eq!(process, Process { pid: 7, parent: 5, group: 6, state: b'S', ticks: 100, threads: 3, pages: 17 });
        assert_eq!(parse(7, b"7 (x"), None);
        assert_eq!(parse(7, b""), None);
    }

    #[test]
    fn finds_this_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let process = read().unwrap().into_iter().find(|process| process.pid == own).unwrap();
        assert!(!process.is_dead());
        assert_eq!(process.directory(), std::env::current_dir().ok());
    }
}
