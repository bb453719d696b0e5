//! Where a job stands: the protocol's states, who may follow whom, and the public words for them.

use serde::{Deserialize, Serialize};

/// A name that has no meaning here.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} '{name}'")]
pub struct UnknownName {
    /// What kind of name was expected.
    pub what: &'static str,
    /// The name given.
    pub name: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in rows, messages, routes and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownName { what: $what, name: name.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What a job does.
    JobType as "job type" {
        /// The first job of a project.
        InitialProject = "initial_project",
        /// A change of the project by its agent.
        Edit = "edit",
        /// A command line of the user's, instead of an agent.
        Command = "command",
        /// A server that is held open on the workspace.
        Session = "session",
    }
}

words! {
    /// The protocol's state of a job; the schema enforces them.
    JobState as "job state" {
        /// Waits for its time, outside the lane.
        Scheduled = "scheduled",
        /// Waits behind another job of its project.
        Pending = "pending",
        /// Heads its lane, may be admitted.
        Queued = "queued",
        /// Admitted: its ticket is out.
        Dispatched = "dispatched",
        /// Claimed by a worker.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended by its agent's failure or a timeout.
        Failed = "failed",
        /// Given up after too many faults of ours.
        Dead = "dead",
        /// Ended by a cancel.
        Canceled = "canceled",
    }
}

words! {
    /// The public status of a job or project.
    Status as "status" {
        /// Accepted, not running.
        Queued = "queued",
        /// A worker has it.
        InProgress = "in_progress",
        /// Ended well.
        Completed = "completed",
        /// Ended badly.
        Error = "error",
        /// Ended by a cancel.
        Cancelled = "cancelled",
    }
}

words! {
    /// How far a running attempt is.
    Phase as "phase" {
        /// The workspace is being created.
        Materializing = "materializing",
        /// The agent runs.
        Running = "running",
        /// Changed files go back.
        Pushing = "pushing",
    }
}

words! {
    /// How an attempt ended.
    Outcome as "outcome" {
        /// The agent did its work and its files are published.
        Succeeded = "succeeded",
        /// The agent failed: a result, final unless the job asks for retries.
        Failed = "failed",
        /// The agent ran longer than the job allows.
        Timeout = "timeout",
        /// Our own fault (storage, scratch, process limits): repeated without charge.
        Infra = "infra",
        /// The worker stopped: repeated without charge.
        Interrupted = "interrupted",
        /// The head moved meanwhile: repeated on the new head.
        Conflict = "conflict",
        /// Ended by a cancel.
        Canceled = "canceled",
        /// The worker vanished; only the reaper says so.
        Lost = "lost",
    }
}

words! {
    /// How well a workspace's agent is walled in, weakest first.
    Isolation as "isolation level" {
        /// A process of its own, nothing more.
        None = "none",
        /// Landlock ABI 1–5.
        LandlockWeak = "landlock-weak",
        /// Landlock ABI 6 or newer, with seccomp.
        Landlock = "landlock",
        /// Own namespaces and seccomp.
        Namespace = "namespace",
        /// A user-space kernel.
        UserKernel = "userkernel",
        /// A virtual machine.
        Vm = "vm",
    }
}

impl JobType {
    /// Whether users submit jobs of this type; the others have routes of their own.
    pub const fn is_submitted(self) -> bool {
        !matches!(self, Self::Session)
    }
}

impl JobState {
    /// The public word for this state.
    pub const fn status(self) -> Status {
        match self {
            Self::Scheduled | Self::Pending | Self::Queued | Self::Dispatched => Status::Queued,
            Self::Running => Status::InProgress,
            Self::Succeeded => Status::Completed,
            Self::Failed | Self::Dead => Status::Error,
            Self::Canceled => Status::Cancelled,
        }
    }

    /// Whether the job has ended; a terminal state never reopens.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Dead | Self::Canceled)
    }
}

impl Status {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Error | Self::Cancelled)
    }

    /// The protocol states behind this word.
    pub fn states(self) -> Vec<JobState> {
        JobState::ALL.iter().copied().filter(|state| state.status() == self).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), *state);
        }
        assert!("done".parse::<JobState>().is_err());
    }

    #[test]
    fn statuses_partition_the_states() {
        let listed: usize = Status::ALL.iter().map(|status| status.states().len()).sum();
        assert_eq!(listed, JobState::ALL.len());
    }
}
