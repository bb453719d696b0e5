//! Exit codes of the command: part of its interface, never renumbered.

use drydock_client::{ClientError, Ending};

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// Done; of a job that was waited for: it completed.
    #[default]
    Ok = 0,
    /// A job that was waited for failed, or a check found something.
    Failed = 1,
    /// The command line, or what it sent, makes no sense.
    Usage = 2,
    /// A setting is missing or wrong, or the server does not accept who asks.
    Config = 3,
    /// What it names is not there.
    NotFound = 4,
    /// It clashes with what is there.
    Conflict = 5,
    /// The server or the network failed, after retries.
    Unavailable = 6,
    /// Time was up.
    TimedOut = 7,
    /// A job that was waited for was cancelled.
    Cancelled = 8,
    /// Ctrl-C (128 + SIGINT). The job goes on.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Completed => Self::Ok,
            Ending::Failed => Self::Failed,
            Ending::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Server(_) | ClientError::Key => Self::Config,
            ClientError::Refused(refusal) => Self::of_http(refusal.status.as_u16()),
            ClientError::Encode(_) => Self::Usage,
            _ => Self::Unavailable,
        }
    }
}

impl Exit {
    /// What the end of a job means for whoever waited for it. `None`: it has not ended.
    pub fn of_status(status: &str) -> Option<Self> {
        Ending::of_status(status).map(Self::from)
    }

    /// What it is called in an error's document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Config => "settings",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// One end for several jobs: a failure says more than a cancel, and a cancel more than success.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let weight = |exit| match exit {
            Self::Ok => 0,
            Self::Cancelled => 1,
            Self::Failed => 2,
            _ => 3,
        };
        if weight(other) > weight(self) { other } else { self }
    }

    /// What a refusal with this HTTP status means.
    pub const fn of_http(status: u16) -> Self {
        match status {
            401 | 403 => Self::Config,
            404 => Self::NotFound,
            409 | 412 => Self::Conflict,
            408 | 425 | 429 | 500.. => Self::Unavailable,
            _ => Self::Usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_promised_ones() {
        let codes = [
            (Exit::Ok, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Config, 3),
            (Exit::NotFound, 4),
            (Exit::Conflict, 5),
            (Exit::Unavailable, 6),
            (Exit::TimedOut, 7),
            (Exit::Cancelled, 8),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit as u8, code);
        }
    }

    #[test]
    fn http_statuses_have_codes() {
        for (status, code) in [
            (400, 2),
            (413, 2),
            (415, 2),
            (422, 2),
            (401, 3),
            (403, 3),
            (404, 4),
            (409, 5),
            (412, 5),
            (429, 6),
            (500, 6),
            (503, 6),
        ] {
            assert_eq!(Exit::of_http(status) as u8, code, "{status}");
        }
    }

    #[test]
    fn the_worst_of_several_jobs_counts() {
        let worst = |exits: &[Exit]| exits.iter().copied().fold(Exit::Ok, Exit::worse);
        assert_eq!(worst(&[Exit::Ok, Exit::Cancelled, Exit::Failed, Exit::Ok]), Exit::Failed);
        assert_eq!(worst(&[Exit::Cancelled, Exit::Ok]), Exit::Cancelled);
        assert_eq!(worst(&[Exit::Failed, Exit::TimedOut, Exit::Cancelled]), Exit::TimedOut);
    }
}
