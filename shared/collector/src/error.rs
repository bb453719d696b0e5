//! Why a collection or an audit did not come to its end.

use drydock_database::DatabaseError;
use drydock_storage::StorageError;

/// A collection that was cut short; what it did stands, and the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The database did not answer, or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Object storage did not answer, or refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
