//! How an agent's program ended, in one word and in one sentence.

use std::{fmt, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use crate::limits::Excess;

/// How the agent's program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// Its time was up.
    TimedOut,
    /// It said nothing for this long.
    Silent(Duration),
    /// It used more than it may.
    OverLimit(Excess),
    /// It was told to stop.
    Canceled,
    /// It never started: this program is missing, cannot be run, or cannot take these arguments.
    Missing(String),
}

impl Ending {
    /// Whether the agent ended by itself and says all is well.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    pub(super) fn of(status: ExitStatus) -> Self {
        status.code().map_or_else(|| Self::Signaled(status.signal().unwrap_or_default()), Self::Exited)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(signal) => write!(f, "was killed by signal {signal}"),
            Self::TimedOut => f.write_str("was stopped at its time limit"),
            Self::Silent(limit) => write!(f, "was stopped after {} s without output", limit.as_secs_f32()),
            Self::OverLimit(excess) => write!(f, "was stopped for taking more than it may: {excess}"),
            Self::Canceled => f.write_str("was cancelled"),
            Self::Missing(program) => {
                write!(f, "could not be started: program '{program}' is missing or cannot be run")
            }
        }
    }
}
