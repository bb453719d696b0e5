//! What passes between the worker and a running helper, over the Unix stream socket that the helper has as standard input.

use std::{fmt, str::FromStr};

/// How a start went: the helper's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// The program runs, walled in as asked; the helper has made sure of it.
    Running {
        /// Its process id, in the PID namespace of the worker; 0 if the kernel does not tell (`CONFIG_PROC_CHILDREN`).
        pid: i32,
    },
    /// The program cannot be executed: an errno of execve(2). The policy or the command line is to blame, not the jail.
    Unstartable(i32),
    /// The jail could not be made, so that nothing was run: why.
    Refused(String),
}

/// How it ended: the helper's last line. When it comes, nothing of the jail is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// How many processes were left when it ended, dead ones that nobody had waited for among them; 0 at `namespace`, where the kernel ends them.
        killed: u32,
    },
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// How many processes it left behind, which were killed.
        killed: u32,
    },
}

/// What the worker tells the helper to do, as one byte. Closing the socket is [`Order::Kill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM to the program's process group.
    Terminate,
    /// SIGKILL to all of it.
    Kill,
}

/// A line that is none of the protocol's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the jail said '{0}', which means nothing")]
pub struct ProtocolError(String);

impl Order {
    /// As it is sent.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Terminate => b't',
            Self::Kill => b'k',
        }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { pid } => write!(f, "running {pid}"),
            Self::Unstartable(errno) => write!(f, "unstartable {errno}"),
            Self::Refused(reason) => write!(f, "refused {}", reason.replace('\n', " ")),
        }
    }
}

impl FromStr for Started {
    type Err = ProtocolError;

    fn from_str(line: &str) -> Result<Self, ProtocolError> {
        let unknown = || ProtocolError(line.to_owned());
        match line.split_once(' ') {
            Some(("running", pid)) => pid.parse().map(|pid| Self::Running { pid }).map_err(|_| unknown()),
            Some(("unstartable", errno)) => errno.parse().map(Self::Unstartable).map_err(|_| unknown()),
            Some(("refused", reason)) => Ok(Self::Refused(reason.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code, killed } => write!(f, "exited {code} {killed}"),
            Self::Signaled { signal, killed } => write!(f, "signaled {signal} {killed}"),
        }
    }
}

impl FromStr for Ended {
    type Err = ProtocolError;

    fn from_str(line: &str) -> Result<Self, ProtocolError> {
        let unknown = || ProtocolError(line.to_owned());
        let words: Vec<&str> = line.split(' ').collect();
        let [how, number, killed] = words[..] else { return Err(unknown()) };
        let (Ok(number), Ok(killed)) = (number.parse(), killed.parse()) else { return Err(unknown()) };
        match how {
            "exited" => Ok(Self::Exited { code: number, killed }),
            "signaled" => Ok(Self::Signaled { signal: number, killed }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        for started in
            [Started::Running { pid: 7 }, Started::Unstartable(2), Started::Refused("no\u{e9} way".to_owned())]
        {
            assert_eq!(started.to_string().parse(), Ok(started));
        }
        for ended in [Ended::Exited { code: 7, killed: 0 }, Ended::Signaled { signal: 9, killed: 3 }] {
            assert_eq!(ended.to_string().parse(), Ok(ended));
        }
        assert_eq!(Started::Refused("a\nb".to_owned()).to_string(), "refused a b");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in ["", "running now", "running", "unstartable x", "exited 1", "exited x 1"] {
            assert!(line.parse::<Started>().is_err() && line.parse::<Ended>().is_err(), "{line}");
        }
    }
}
