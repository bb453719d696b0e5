//! Which of an attempt's processes have a socket open (`/proc/PID/fd`).

use std::{collections::BTreeSet, io};

use rustix::process::Pid;

use super::{Belongings, freeze::members};

/// Who has a socket open.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// Of the attempt's living processes, those that do.
    pub(crate) pids: Vec<i32>,
    /// Some process does not show what it has open: it changed its user.
    pub(crate) unclear: bool,
}

/// Finds the attempt's processes that have one of these sockets open, told by their inodes. Blocking: reads the process table.
pub(crate) fn holders(leader: Pid, belongings: &Belongings, inodes: &BTreeSet<u64>) -> Holders {
    let mut found = Holders::default();
    for process in members(leader, belongings) {
        match holds(process.pid, inodes) {
            Ok(true) => found.pids.push(process.pid),
            Ok(false) => {}
            // Anything else: it ended meanwhile.
            Err(error) => found.unclear |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    found
}

fn holds(pid: i32, inodes: &BTreeSet<u64>) -> io::Result<bool> {
    for entry in fs_err::read_dir(format!("/proc/{pid}/fd"))? {
        // It may have been closed meanwhile.
        let Ok(open) = fs_err::read_link(entry?.path()) else { continue };
        let inode = open.to_str().and_then(|open| open.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        if inode.is_some_and(|inode| inodes.contains(&inode)) {
            return Ok(true);
        }
    }
    Ok(false)
}
