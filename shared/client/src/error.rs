//! Why a call failed: refused by the API, answered by something else, or not answered.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's address is none.
    #[error("'{0}' is no address of a server: write http://host:port")]
    Server(String),
    /// The client cannot be built.
    #[error("cannot set up HTTP")]
    Setup(#[source] reqwest::Error),
    /// The API key cannot be a header.
    #[error("the API key holds characters that a header cannot")]
    Key,
    /// The request cannot be written.
    #[error("cannot write the request")]
    Encode(#[source] serde_json::Error),
    /// The API refused.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing that speaks HTTP answered.
    #[error("cannot reach {server}: is it running, and is this its address?")]
    Unreachable {
        /// Where.
        server: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("{server} did not answer within {after:?}")]
    Silent {
        /// Where.
        server: Url,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke before the end of the answer.
    #[error("the connection to {server} broke before the end of the answer")]
    Broken {
        /// Where.
        server: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what the API says.
    #[error("{server} gave an answer that is not Drydock's")]
    Answer {
        /// Where.
        server: Url,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// A stream ended without having said its end, again and again.
    #[error("{server} ends the stream without sending anything")]
    Stream {
        /// Where.
        server: Url,
    },
}

/// An answer with a status of 4xx or 5xx.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The body as it came.
    pub body: Bytes,
    /// When to try again, where the server says so.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
    detail: Option<Value>,
    correlation_id: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(body) = serde_json::from_slice::<ErrorBody>(&self.body) else {
            return write!(f, "HTTP {} from something that is not Drydock's API", self.status);
        };
        match body.detail {
            Some(Value::String(detail)) => write!(f, "{detail}")?,
            Some(Value::Array(rows)) => {
                let rows: Vec<String> = rows.iter().map(row).collect();
                write!(f, "{}: {}", body.message, rows.join("; "))?;
            }
            _ => write!(f, "{}", body.message)?,
        }
        match body.correlation_id {
            Some(id) if self.status.is_server_error() => write!(f, " (request {id})"),
            _ => Ok(()),
        }
    }
}

/// `instruction: Field required`
fn row(row: &Value) -> String {
    let loc = row["loc"].as_array().map(Vec::as_slice).unwrap_or_default();
    let place = loc.iter().skip(1).map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned));
    let place: Vec<String> = place.collect();
    let msg = row["msg"].as_str().unwrap_or("refused");
    if place.is_empty() { msg.to_owned() } else { format!("{}: {msg}", place.join(".")) }
}

impl ClientError {
    /// Whether the same request may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status.as_u16(), 429 | 502..=504),
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Broken { .. } | Self::Stream { .. } => true,
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The API's own words, where it is the API that refused.
    pub fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Refused(refusal) => Some(&refusal.body),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &'static str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal { status, body: Bytes::from_static(body.as_bytes()), retry_after: None }.to_string()
    }

    #[test]
    fn refusals_read_well() {
        let rows = r#"{"error":"validation_error","message":"Validation failed","code":422,"detail":[
            {"loc":["body","instruction"],"msg":"Field required","type":"missing"},
            {"loc":["body","argv",1],"msg":"Input should be a valid string","type":"string_type"}],"correlation_id":"r"}"#;
        assert_eq!(
            said(422, rows),
            "Validation failed: instruction: Field required; argv.1: Input should be a valid string"
        );
        let text =
            r#"{"error":"not_found","message":"Not found","code":404,"detail":"Job not found","correlation_id":"r"}"#;
        assert_eq!(said(404, text), "Job not found");
        let none = r#"{"error":"internal_error","message":"Internal server error","code":500,"correlation_id":"r-1"}"#;
        assert_eq!(said(500, none), "Internal server error (request r-1)");
        assert_eq!(said(404, "<html>"), "HTTP 404 Not Found from something that is not Drydock's API");
    }
}
