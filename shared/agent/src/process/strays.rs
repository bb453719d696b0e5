//! Ending what a worker that was killed left running: agents outlive a SIGKILL of their worker, and nobody is their parent
//! any more. They are known by where they live: the scratch directory is one worker's, and its lock is held here.

use std::{
    collections::BTreeSet,
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::table::{self, Process};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Kills every process whose home or working directory is below `root`; returns how many there were. Blocking, and only
/// while no attempt of this worker runs.
///
/// # Errors
/// `/proc` cannot be read, or some live on.
pub fn end_strays(root: &Path) -> io::Result<usize> {
    let mut home = b"HOME=".to_vec();
    home.extend_from_slice(root.as_os_str().as_bytes());
    home.push(b'/');
    let own = getpid().as_raw_nonzero().get();
    let (mut ended, deadline) = (BTreeSet::new(), Instant::now() + PATIENCE);
    loop {
        let strays: Vec<Process> = table::read()?
            .into_iter()
            .filter(|process| process.pid != own && !process.is_dead())
            // A dying process shows neither directory nor environment, but may still hold files open.
            .filter(|process| ended.contains(&process.pid) || lives_below(process, root, &home))
            .collect();
        if strays.is_empty() {
            return Ok(ended.len());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("{} processes of an earlier worker cannot be killed", strays.len())));
        }
        for pid in strays.iter().filter_map(|stray| Pid::from_raw(stray.pid)) {
            // It may have ended meanwhile; the next look tells.
            let _ended = kill_process(pid, Signal::KILL);
            ended.insert(pid.as_raw_nonzero().get());
        }
        thread::sleep(PAUSE);
    }
}

fn lives_below(process: &Process, root: &Path, home: &[u8]) -> bool {
    process.directory().is_some_and(|directory| directory.starts_with(root) && directory != root)
        || process.environment_starts(home)
}
