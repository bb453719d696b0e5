//! `Refusal`: why a request is not passed on, as the agent, the log and the metrics are told.

use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, PROXY_AUTHENTICATE},
};

use crate::metrics::Outcome;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("without the attempt's credential")]
    Proxy,
    #[error("without the attempt's placeholder as its key")]
    Key,
    #[error("not a request that can be passed on: {0}")]
    Malformed(&'static str),
    #[error("its method is not passed on")]
    Method,
    #[error("not among the agent's domains")]
    Domain,
    #[error("no path of the agent's endpoints")]
    Path,
    #[error("its name leads to an address that is not allowed")]
    Address,
    #[error("the worker has no key for it")]
    NoKey,
    #[error("its name cannot be looked up")]
    Unknown,
    #[error("cannot be reached: {0}")]
    Connect(io::Error),
    #[error("no answer: {0}")]
    Answer(hyper::Error),
    #[error("the worker's certificates cannot be read: {0}")]
    Trust(String),
}

impl Refusal {
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Proxy | Self::Key => Outcome::Credential,
            Self::Malformed(_) | Self::Method => Outcome::Malformed,
            Self::Domain | Self::Path => Outcome::Domain,
            Self::Address => Outcome::Address,
            Self::NoKey | Self::Unknown | Self::Connect(_) | Self::Answer(_) | Self::Trust(_) => Outcome::Unreachable,
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::Key => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Domain | Self::Address => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::NoKey | Self::Unknown | Self::Connect(_) | Self::Answer(_) | Self::Trust(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// What the agent is told; the connection ends with it, since nothing that follows is taken for granted.
    pub(crate) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("drydock egress: refused, {self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if matches!(self, Self::Proxy) {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"drydock\""));
        }
        if matches!(self, Self::Method) {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }
}
