//! The SDK's errors, folded once into [`StorageError`].

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{StorageError, keys::ObjectKey};

/// What was being done, for the message and the metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// Metric label.
    pub(super) label: &'static str,
    /// Completes "object storage refused to …".
    pub(super) verb: &'static str,
}

pub(super) const CHECK: Operation = Operation { label: "check", verb: "look at the bucket" };
pub(super) const PUT: Operation = Operation { label: "put", verb: "store an object" };
pub(super) const GET: Operation = Operation { label: "get", verb: "read an object" };
pub(super) const HEAD: Operation = Operation { label: "head", verb: "look at an object" };
pub(super) const DELETE: Operation = Operation { label: "delete", verb: "delete an object" };
pub(super) const LIST: Operation = Operation { label: "list", verb: "list objects" };

/// The HTTP status, where there was an answer.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// The error of a failed request; `key` is `None` for one about the bucket itself.
pub(super) fn fold<E>(
    operation: Operation,
    bucket: &str,
    key: Option<&ObjectKey>,
    error: SdkError<E, HttpResponse>,
) -> StorageError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let no_bucket = error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchBucket");
    let status = status(&error);
    let verb = operation.verb;
    match (&error, status) {
        (SdkError::TimeoutError(_), _) => StorageError::Timeout { operation: verb },
        (SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => unavailable(operation, error),
        (SdkError::ServiceError(_), Some(404)) => match key {
            Some(key) if !no_bucket => StorageError::NotFound { key: key.to_string() },
            _ => StorageError::NoBucket { bucket: bucket.to_owned() },
        },
        (SdkError::ServiceError(_), Some(401 | 403)) => {
            StorageError::Unauthorized { operation: verb, source: error.into() }
        }
        (SdkError::ServiceError(_), Some(416)) => {
            StorageError::corrupt(key.map_or("object", ObjectKey::as_str), "shorter than its index says")
        }
        // 409 is a conditional write that met another one: the next try finds the object there.
        (SdkError::ServiceError(_), Some(408 | 409 | 429 | 500..)) => unavailable(operation, error),
        _ => StorageError::Refused { operation: verb, source: error.into() },
    }
}

pub(super) fn unavailable(operation: Operation, source: impl Into<crate::BoxError>) -> StorageError {
    StorageError::Unavailable { operation: operation.verb, source: source.into() }
}
