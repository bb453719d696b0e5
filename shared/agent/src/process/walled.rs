//! A program behind walls: `drydock-jail` is started in its place, supervises it, and ends all of it when told to, or when the worker is gone.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use drydock_jail::{Ended, Order, Started};
use rustix::process::Signal;

use crate::jail::Walls;

/// How long the last line of a supervisor that is dead may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Longest line a supervisor says.
const MAX_LINE: u64 = 4 << 10;

/// The worker's end of the socket that the supervisor has as standard input.
pub(super) struct Voice {
    socket: UnixStream,
    said: Mutex<BufReader<UnixStream>>,
    /// The program's process id; 0 where it is not known.
    program: AtomicI32,
}

/// The command that starts the supervisor, and the way to it.
pub(super) fn command(walls: &Walls, program: &Path, line: &[OsString]) -> io::Result<(Command, Voice)> {
    let (socket, theirs) = UnixStream::pair()?;
    let mut command = Command::new(&walls.helper);
    command.arg("run").args(walls.policy.to_args()).arg(program).args(line).stdin(OwnedFd::from(theirs));
    let said = Mutex::new(BufReader::new(socket.try_clone()?));
    Ok((command, Voice { socket, said, program: AtomicI32::new(0) }))
}

impl Voice {
    /// Waits until the program runs. Blocking.
    ///
    /// # Errors
    /// What execve(2) said of the program, or why there is no jail.
    pub(super) fn hear_start(&self) -> io::Result<()> {
        match self.line()?.parse().map_err(io::Error::other)? {
            Started::Running { pid } => {
                self.program.store(pid, Ordering::Relaxed);
                Ok(())
            }
            Started::Unstartable(errno) => Err(io::Error::from_raw_os_error(errno)),
            Started::Refused(reason) => Err(io::Error::other(format!("the jail was not made: {reason}"))),
        }
    }

    /// Makes sure that the supervisor has ended all there was, and not been ended itself.
    pub(super) fn has_ended(&self) -> io::Result<()> {
        // It is dead: what it said is here. Whatever else might hold its end of the socket is not waited for.
        self.socket.set_read_timeout(Some(LAST_WORD))?;
        let ended: Ended = self.line()?.parse().map_err(io::Error::other)?;
        let (Ended::Exited { killed, .. } | Ended::Signaled { killed, .. }) = ended;
        if killed > 0 {
            tracing::debug!(killed, "processes were left behind in the jail");
        }
        Ok(())
    }

    /// SIGTERM goes to the program's group, SIGKILL to all of it. There are no others.
    pub(super) fn pass_on(&self, signal: Signal) {
        let order = match signal {
            Signal::KILL => Order::Kill,
            Signal::TERM => Order::Terminate,
            // With SIGTERM the supervisor sends SIGCONT, too.
            _ => return,
        };
        // A supervisor that is gone has ended it.
        let _gone = (&self.socket).write_all(&[order.letter()]);
    }

    /// The program's process id, or else its supervisor's.
    pub(super) fn program(&self, supervisor: i32) -> i32 {
        match self.program.load(Ordering::Relaxed) {
            0 => supervisor,
            program => program,
        }
    }

    /// The next line.
    fn line(&self) -> io::Result<String> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = String::new();
        said.by_ref().take(MAX_LINE).read_line(&mut line)?;
        let ended = || io::Error::other("the jail's supervisor ended without a word");
        line.strip_suffix('\n').map(str::to_owned).ok_or_else(ended)
    }
}
