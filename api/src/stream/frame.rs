//! One frame of a stream as bytes: server-sent events (WHATWG HTML §9.2) or newline-delimited JSON.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::{Value, json};

/// Milliseconds after which a client should come back.
const RETRY_MS: u32 = 2000;

/// What a stream carries.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// How soon to come back after a loss.
    Retry,
    /// Something that happened, with the place to resume after.
    Event {
        /// Where to resume.
        id: String,
        /// What kind of event.
        name: String,
        /// What happened.
        data: Value,
    },
    /// How something stands, whole: nothing to resume after.
    Data(Value),
    /// Nothing happened, the connection lives.
    Heartbeat,
    /// Nothing more will happen.
    End(Value),
}

/// A frame as a line of JSON, for the document. A line without anything says that the connection lives.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the lines, which are written by hand")]
pub(crate) struct StreamLine {
    /// Where to resume; the last line has none.
    #[schema(nullable = false)]
    id: Option<String>,
    /// The kind of event; `end` is the last.
    event: String,
    #[schema(value_type = Object)]
    data: Value,
}

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/event-stream`
    Sse,
    /// `application/x-ndjson`
    Ndjson,
}

impl Format {
    /// NDJSON where the client asks for it by name.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let asks = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if asks.flat_map(|accept| accept.split(',')).any(|kind| media(kind) == "application/x-ndjson") {
            Self::Ndjson
        } else {
            Self::Sse
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The frame's bytes; none for what the format cannot say.
    pub(super) fn encode(self, frame: &Frame) -> Bytes {
        let text = match (self, frame) {
            (Self::Sse, Frame::Retry) => format!("retry: {RETRY_MS}\n\n"),
            (Self::Sse, Frame::Heartbeat) => ": alive\n\n".to_owned(),
            // JSON has no raw line breaks, so one data line holds it.
            (Self::Sse, Frame::Event { id, name, data }) => {
                format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
            }
            (Self::Sse, Frame::Data(data)) => format!("data: {data}\n\n"),
            (Self::Ndjson, Frame::Data(data)) => format!("{data}\n"),
            (Self::Sse, Frame::End(data)) => format!("event: end\ndata: {data}\n\n"),
            (Self::Ndjson, Frame::Retry) => String::new(),
            (Self::Ndjson, Frame::Heartbeat) => "\n".to_owned(),
            (Self::Ndjson, Frame::Event { id, name, data }) => {
                format!("{}\n", json!({"id": id, "event": name, "data": data}))
            }
            (Self::Ndjson, Frame::End(data)) => {
                format!("{}\n", json!({"event": "end", "data": data}))
            }
        };
        text.into()
    }
}

/// A media type without its parameters.
pub(crate) fn media(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_form_of_their_format() {
        let event = Frame::Event { id: "7-1".to_owned(), name: "status".to_owned(), data: json!({"a": "x\ny"}) };
        let sse = Format::Sse.encode(&event);
        assert_eq!(sse, "id: 7-1\nevent: status\ndata: {\"a\":\"x\\ny\"}\n\n");
        let line: Value = serde_json::from_slice(&Format::Ndjson.encode(&event)).unwrap();
        assert_eq!(line, json!({"id": "7-1", "event": "status", "data": {"a": "x\ny"}}));
        assert_eq!(Format::Sse.encode(&Frame::End(json!({}))), "event: end\ndata: {}\n\n");
        assert_eq!(Format::Sse.encode(&Frame::Retry), "retry: 2000\n\n");
        assert!(Format::Ndjson.encode(&Frame::Retry).is_empty());
    }

    #[test]
    fn the_accept_header_chooses() {
        let wanted = |accept: &str| Format::wanted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert_eq!(wanted("application/x-ndjson"), Format::Ndjson);
        assert_eq!(wanted("text/html, Application/X-NDJSON;q=0.9"), Format::Ndjson);
        assert_eq!(wanted("text/event-stream"), Format::Sse);
        assert_eq!(wanted("*/*"), Format::Sse);
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Sse);
    }
}
