//! `ApiError`: everything a request can end in but success, with the status and the words of each. The body itself is
//! written by `render`, which alone knows the request's id.

mod quota;
mod render;
mod storage;

use std::borrow::Cow;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use drydock_database::DatabaseError;
use drydock_runtime::exit::chain;
use serde_json::Value;

pub(crate) use self::render::{Body, render};
use crate::{rate::whole_seconds, validate::Row};

/// Seconds after which a refused client may try again.
const RETRY_AFTER_S: u32 = 2;

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The request makes no sense.
    BadRequest(Cow<'static, str>),
    /// Nobody can tell who asks. What was presented is not repeated.
    Unauthorized(&'static str),
    /// The same, of something that is nobody's: it may be a guess.
    Stranger(&'static str),
    /// It is known who asks, and they may not.
    Forbidden(Cow<'static, str>),
    /// What it names is not there, or not the caller's.
    NotFound(&'static str),
    /// It was there, and is kept no more.
    Gone(&'static str),
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// It clashes with how things stand.
    Conflict(Cow<'static, str>),
    /// It holds only for another state than there is.
    PreconditionFailed(Cow<'static, str>),
    /// A body beyond its limit.
    TooLarge(Cow<'static, str>),
    /// A body of another kind than the route takes.
    UnsupportedMediaType(&'static str),
    /// A range outside the content of this size.
    RangeNotSatisfiable(u64),
    /// Fields that do not pass, all of them.
    Invalid(Vec<Row>),
    /// It comes too soon after others.
    RateLimited {
        /// The rule.
        detail: String,
        /// By how much.
        wait: std::time::Duration,
    },
    /// A dependency is away, or all places are taken: the same request may work later.
    Unavailable {
        /// For the client.
        detail: &'static str,
        /// For the log.
        cause: Option<String>,
    },
    /// A session's server did not start: why, and what it said last.
    SessionStartFailed(String),
    /// Our fault. The text goes to the log only.
    Internal(String),
}

/// Status, word and fixed text of one kind of failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) message: &'static str,
}

/// What a session's server does is not this server's error.
const SESSION_START_FAILED: Kind =
    Kind::new(StatusCode::INTERNAL_SERVER_ERROR, "session_start_failed", "Session could not be started");

impl Kind {
    const fn new(status: StatusCode, error: &'static str, message: &'static str) -> Self {
        Self { status, error, message }
    }

    /// The words for a status, for answers that did not come from an [`ApiError`].
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::new(status, "bad_request", "Bad request"),
            401 => Self::new(status, "unauthorized", "Unauthorized"),
            403 => Self::new(status, "forbidden", "Forbidden"),
            404 => Self::new(status, "not_found", "Not found"),
            405 => Self::new(status, "method_not_allowed", "Method not allowed"),
            408 => Self::new(status, "request_timeout", "Request timeout"),
            409 => Self::new(status, "conflict", "Conflict"),
            410 => Self::new(status, "gone", "Gone"),
            412 => Self::new(status, "precondition_failed", "Precondition failed"),
            413 => Self::new(status, "payload_too_large", "Payload too large"),
            415 => Self::new(status, "unsupported_media_type", "Unsupported media type"),
            416 => Self::new(status, "range_not_satisfiable", "Range not satisfiable"),
            422 => Self::new(status, "validation_error", "Validation failed"),
            429 => Self::new(status, "rate_limited", "Too many requests"),
            503 => Self::new(status, "unavailable", "Service unavailable"),
            _ if status.is_client_error() => Self::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request"),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Internal server error"),
        }
    }
}

impl ApiError {
    pub(crate) const INVALID_PATH: Self = Self::BadRequest(Cow::Borrowed("Invalid path"));
    pub(crate) const NO_PROJECT: Self = Self::NotFound("Project not found");
    pub(crate) const NO_JOB: Self = Self::NotFound("Job not found");
    pub(crate) const NO_BATCH: Self = Self::NotFound("Batch not found");
    pub(crate) const NO_SCHEDULE: Self = Self::NotFound("Schedule not found");
    pub(crate) const NO_SESSION: Self = Self::NotFound("Invalid or missing 'session_id'");
    pub(crate) const NO_KEY: Self = Self::NotFound("Key not found");
    pub(crate) const NO_TOKEN: Self = Self::NotFound("Token not found");
    pub(crate) const NO_USER: Self = Self::NotFound("User not found");
    pub(crate) const NO_TENANT: Self = Self::NotFound("Tenant not found");
    pub(crate) const NO_WEBHOOK: Self = Self::NotFound("Webhook not found");
    pub(crate) const NO_DELIVERY: Self = Self::NotFound("Delivery not found");
    pub(crate) const NO_WORKER: Self = Self::NotFound("Worker not found");
    pub(crate) const NO_FILE: Self = Self::NotFound("File not found");
    pub(crate) const NO_VERSION: Self = Self::NotFound("Version not found");
    pub(crate) const NO_ATTEMPT: Self = Self::NotFound("Attempt not found");
    pub(crate) const EXPIRED: Self = Self::Gone("The files of this version are kept no more");
    pub(crate) const NO_ROUTE: Self = Self::NotFound("Route not found");

    /// The same failure for one more of those it hit.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Unavailable { detail, cause } => Self::Unavailable { detail, cause: cause.clone() },
            other => Self::Internal(format!("{other:?}")),
        }
    }

    /// Whether it says nothing of the request: the same one may work at another time.
    pub(crate) fn is_ours(&self) -> bool {
        self.status().is_server_error()
    }

    /// The word and the detail, for one of many in an answer.
    pub(crate) fn in_short(&self) -> (&'static str, Value) {
        (self.kind().error, self.detail().unwrap_or_default())
    }

    /// Its words: those of its status, unless it has its own.
    fn kind(&self) -> Kind {
        match self {
            Self::SessionStartFailed(_) => SESSION_START_FAILED,
            other => Kind::of(other.status()),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::Stranger(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::SessionStartFailed(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn headers(&self) -> HeaderMap {
        let one = |name: HeaderName, value: HeaderValue| HeaderMap::from_iter([(name, value)]);
        match self {
            Self::Unauthorized(_) | Self::Stranger(_) => {
                one(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            Self::RateLimited { wait, .. } => one(header::RETRY_AFTER, whole_seconds(*wait).max(1).into()),
            Self::Unavailable { .. } => one(header::RETRY_AFTER, RETRY_AFTER_S.into()),
            Self::RangeNotSatisfiable(size) => HeaderValue::try_from(format!("bytes */{size}"))
                .map_or_else(|_| HeaderMap::new(), |value| one(header::CONTENT_RANGE, value)),
            _ => HeaderMap::new(),
        }
    }

    fn detail(&self) -> Option<Value> {
        match self {
            Self::BadRequest(text)
            | Self::Forbidden(text)
            | Self::Conflict(text)
            | Self::PreconditionFailed(text)
            | Self::TooLarge(text) => Some(Value::from(text.as_ref())),
            Self::Unauthorized(text)
            | Self::Stranger(text)
            | Self::NotFound(text)
            | Self::Gone(text)
            | Self::UnsupportedMediaType(text) => Some(Value::from(*text)),
            Self::MethodNotAllowed => Some(Value::from("This path does not take this method")),
            Self::RangeNotSatisfiable(size) => Some(Value::from(format!("The content has {size} bytes"))),
            Self::Invalid(rows) => Some(rows.iter().map(Row::to_json).collect()),
            Self::SessionStartFailed(detail) => Some(Value::from(detail.as_str())),
            Self::RateLimited { detail, .. } => Some(Value::from(detail.as_str())),
            Self::Unavailable { detail, .. } => Some(Value::from(*detail)),
            Self::Internal(_) => None,
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        if let Some(quota) = error.quota() {
            return Self::over_quota(quota);
        }
        if error.is_unavailable() {
            Self::Unavailable { detail: "The database does not answer", cause: Some(chain(&error)) }
        } else {
            Self::Internal(chain(&error))
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.headers()).into_response();
        let cause = match &self {
            Self::Internal(cause) => Some(cause.clone()),
            Self::Unavailable { cause, .. } => cause.clone(),
            Self::SessionStartFailed(reason) => Some(reason.clone()),
            _ => None,
        };
        response.extensions_mut().insert(Body { kind: Some(self.kind()), detail: self.detail(), cause });
        response
    }
}
