//! How a program ended, also across the pid namespace whose first process cannot end by a signal.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

use rustix::process::WaitStatus;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl From<WaitStatus> for Fate {
    fn from(status: WaitStatus) -> Self {
        let signal = || Self::Signaled(status.terminating_signal().unwrap_or(libc::SIGKILL));
        status.exit_status().map_or_else(signal, Self::Exited)
    }
}

impl Fate {
    /// Writes it down for [`Self::read`].
    pub(super) fn write(self, pipe: OwnedFd) {
        let (kind, number) = match self {
            Self::Exited(code) => (b'e', code),
            Self::Signaled(signal) => (b's', signal),
        };
        let [a, b, c, d] = number.to_le_bytes();
        // A supervisor that is gone reads nothing.
        let _gone = File::from(pipe).write_all(&[kind, a, b, c, d]);
    }

    /// What was written, once nobody can write any more; none if nothing was.
    pub(super) fn read(pipe: OwnedFd) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        File::from(pipe).read_to_end(&mut bytes)?;
        Ok(match bytes[..] {
            [b'e', a, b, c, d] => Some(Self::Exited(i32::from_le_bytes([a, b, c, d]))),
            [b's', a, b, c, d] => Some(Self::Signaled(i32::from_le_bytes([a, b, c, d]))),
            _ => None,
        })
    }
}
