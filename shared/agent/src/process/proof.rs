//! The short way to know that nothing of an attempt is left, at three system calls instead of a walk through `/proc`.
//!
//! The worker is a child subreaper, and each agent is started by a thread of its own, W, which starts nothing else. Parents
//! change only by death: to the nearest living subreaper above, which is an agent's own process or the worker. So whatever
//! the agent started has, while it lives, a topmost ancestor Q below the worker that is the attempt's too, and the kernel
//! keeps Q in the list of children of one of the worker's threads:
//! - of W, where W started it (the agent itself) or a process of W's list cloned it with `CLONE_PARENT`;
//! - of the worker's main thread M, where it was orphaned (`find_alive_thread` of `kernel/exit.c` takes the oldest thread, and
//!   M lives as long as the process), or cloned with `CLONE_PARENT` by one that was.
//!
//! Once the agent is reaped: W's list is empty (waitid(2) with `__WNOTHREAD` looks at all of it under the lock that guards it
//! and answers ECHILD), and stays so, because only what is in it could add to it. Then every Q there may be is in M's list.
//! That list is seen to be empty (one read of its `children` file, whose first entry is taken under the same lock): there is no
//! Q, so nothing of the attempt lives or can come to life. Both facts hold no matter what the agent does to its group, session,
//! environment, directories or user.
//!
//! Anything else proves nothing, and the walk decides: a daemon of another attempt that runs, a kernel without these lists.

use rustix::{
    io::Errno,
    process::{WaitId, WaitIdOptions, getpid, waitid},
};

use super::children;

/// `__WNOTHREAD` and `__WALL` of wait(2), the same on every architecture: the calling thread's own children, of every kind.
const OWN_OF_EVERY_KIND: WaitIdOptions = WaitIdOptions::from_bits_retain(0x2000_0000 | 0x4000_0000);
/// Rounds of reaping dead orphans before the walk is asked: one may come in for each that goes.
const ROUNDS: u32 = 8;

/// Whether nothing lives of the agent that the calling thread, its warden, started and reaped. `false` says nothing.
pub(super) fn nothing_is_left() -> bool {
    children::adopts() && started_none() && adopted_none()
}

/// Whether the calling thread has no child, alive or dead.
fn started_none() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT | OWN_OF_EVERY_KIND;
    matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// Whether the main thread has no child, after reaping dead ones that were adopted.
fn adopted_none() -> bool {
    let own = getpid().as_raw_nonzero();
    for _ in 0..ROUNDS {
        // Missing without CONFIG_PROC_CHILDREN, or where /proc is another process namespace's.
        let Ok(list) = fs_err::read_to_string(format!("/proc/self/task/{own}/children")) else {
            return false;
        };
        let adopted: Vec<i32> = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if adopted.is_empty() {
            return true;
        }
        // The list is read anew: a process that dies leaves its own children to the main thread.
        if adopted.into_iter().filter(|&pid| children::reap(pid)).count() == 0 {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt as _,
        process::Command,
        thread,
        time::{Duration, Instant},
    };

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// What is proved on the thread of a script that was started and reaped there, first and when `pid` is killed.
    fn proved_after(script: &str) -> (bool, bool) {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(directory.path()).process_group(0);
        let warden = thread::spawn(move || {
            let (mut child, _registered) = children::spawn(&mut command).unwrap();
            child.wait().unwrap();
            let first = nothing_is_left();
            let pid = fs_err::read_to_string(directory.path().join("pid")).ok().map(|pid| pid.trim().parse().unwrap());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).unwrap();
            }
            let patience = Instant::now() + Duration::from_secs(5);
            while !nothing_is_left() && Instant::now() < patience {
                // What the walk does with a sibling, which is no orphan of the main thread's.
                pid.map(children::reap);
                thread::sleep(Duration::from_millis(1));
            }
            (first, nothing_is_left())
        });
        warden.join().unwrap()
    }

    #[test]
    fn the_end_of_everything_is_proved_and_nothing_before_it() {
        assert_eq!(proved_after("exit 3"), (true, true));
        assert_eq!(proved_after("sh -c 'exit 0' & wait"), (true, true));
        let daemon = "(env -i setsid sh -c 'echo $$ > pid; cd /; exec sleep 300' &) ; while [ ! -s pid ]; do :; done";
        assert_eq!(proved_after(daemon), (false, true));
        assert_eq!(proved_after("sleep 300 & echo $! > pid"), (false, true));
        // A sibling: clone(2) with CLONE_PARENT and SIGCHLD, the numbers of x86-64 and of the other architectures.
        let clone = if cfg!(target_arch = "x86_64") { 56 } else { 220 };
        let sibling = format!(
            "exec perl -e 'use POSIX; my $pid = syscall({clone}, 0x8000 | 17, 0, 0, 0, 0); \
             if ($pid == 0) {{ POSIX::setsid(); exec \"sleep\", \"300\" }} open(F, \">\", \"pid\"); print F $pid'"
        );
        assert_eq!(proved_after(&sibling), (false, true));
    }
}
