//! Processes of attempts, known by the mark in their environment.

use std::{collections::BTreeSet, os::unix::ffi::OsStrExt as _, path::Path};

use anyhow::Result;
use rustix::process::Pid;
use uuid::Uuid;

use super::history::Survivor;

const MARK: &[u8] = b"DRYDOCK_ATTEMPT_ID=";

/// Those whose home is below a worker's scratch directory.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn below(scratch: &Path) -> Result<Vec<Pid>> {
    let home = [b"HOME=", scratch.as_os_str().as_bytes(), b"/"].concat();
    let all = processes()?.into_iter();
    let lives = |environment: &[u8]| environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(&home));
    Ok(all.filter(|(_, environment)| lives(environment)).filter_map(|(pid, _)| Pid::from_raw(pid)).collect())
}

/// Those of the given attempts.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn of(attempts: &BTreeSet<Uuid>) -> Result<Vec<Survivor>> {
    let marked = |environment: &[u8]| -> Option<Uuid> {
        let mark = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(MARK))?;
        std::str::from_utf8(mark).ok()?.parse().ok()
    };
    let found = processes()?.into_iter().filter_map(|(pid, environment)| Some((pid, marked(&environment)?)));
    let ours = found.filter(|(_, attempt)| attempts.contains(attempt));
    Ok(ours.map(|(pid, attempt)| Survivor { pid, attempt }).collect())
}

/// Every living process and its environment; a dead one has none.
fn processes() -> Result<Vec<(i32, Vec<u8>)>> {
    let entries = fs_err::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = entries.filter_map(|name| name.parse::<i32>().ok());
    Ok(pids.filter_map(|pid| Some((pid, fs_err::read(format!("/proc/{pid}/environ")).ok()?))).collect())
}
