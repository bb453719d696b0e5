//! Why a worker takes no more tickets for a while, or for good.

use drydock_database::DatabaseError;
use drydock_queue::QueueError;

use crate::workspace::WorkspaceError;

/// Why a subscription is left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Leave {
    #[error("the broker ended the subscription")]
    Ended,
    #[error("this worker may not claim: it drains, or its lease is over")]
    Refused,
    #[error("all slots were busy for long")]
    Full,
    #[error("stopping")]
    Stopping,
    #[error("asked to drain")]
    Drained,
    #[error("object storage is away")]
    Storage,
    #[error("the broker failed")]
    Queue(#[from] QueueError),
    #[error("no scratch directory could be made")]
    Scratch(#[from] WorkspaceError),
    #[error("a claim failed")]
    Database(#[from] DatabaseError),
}
