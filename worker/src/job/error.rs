//! Our own inability to see an attempt through. What the agent does wrong is a result, never one of these.

use drydock_database::DatabaseError;
use drydock_domain::Outcome;
use drydock_storage::StorageErrorKind;

use drydock_agent::AgentError;

use crate::{log::LogError, running::Stop, workspace::WorkspaceError};

/// A fault of ours, by stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("cannot create the workspace")]
    Materialize(#[source] crate::workspace::WorkspaceError),
    #[error("cannot run the agent")]
    Agent(#[source] AgentError),
    #[error("cannot learn what the session runs")]
    Session(#[source] DatabaseError),
    #[error("cannot tell that the session is ready")]
    Ready(#[source] DatabaseError),
    #[error("cannot store the changed files")]
    Push(#[source] crate::workspace::WorkspaceError),
    #[error("cannot keep the log")]
    Log(#[source] LogError),
    #[error("stopped: {}", match .0 { Stop::Canceled => "the job was cancelled", Stop::Lost => "the lease was lost", Stop::Draining => "the worker stops" })]
    Stopped(Stop),
}

impl JobError {
    /// Whether object storage was not there, rather than what this job looked for in it.
    pub(crate) fn blames_storage(&self) -> bool {
        let Self::Materialize(WorkspaceError::Storage(error)) = self else {
            return false;
        };
        use StorageErrorKind::{Internal, Unauthorized, Unavailable};
        matches!(error.kind(), Unavailable | Unauthorized | Internal)
    }

    /// What the attempt ends as.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Stopped(Stop::Canceled) => Outcome::Canceled,
            Self::Stopped(_) => Outcome::Interrupted,
            _ => Outcome::Infra,
        }
    }
}
