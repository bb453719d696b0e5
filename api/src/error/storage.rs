//! What a failure of object storage means to a client.

use drydock_runtime::exit::chain;
use drydock_storage::{StorageError, StorageErrorKind as Kind};

use super::ApiError;

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error.kind() {
            Kind::Unavailable | Kind::Unauthorized => {
                Self::Unavailable { detail: "Object storage does not answer", cause: Some(chain(&error)) }
            }
            Kind::TooLarge => Self::TooLarge(error.to_string().into()),
            Kind::InvalidInput => Self::BadRequest(chain(&error).into()),
            // Something the database says exists is not there: our fault, not a 404.
            Kind::NotFound | Kind::Corrupt | Kind::Unstable | Kind::Io | Kind::Internal => {
                Self::Internal(chain(&error))
            }
        }
    }
}
