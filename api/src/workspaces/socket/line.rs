//! `Line`: the WebSocket as frames; and why it ends.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use drydock_database::DatabaseError;
use drydock_domain::daemon::{FromDaemon, ToDaemon, close};
use drydock_runtime::exit::chain;
use tokio::time::timeout;

/// How long a daemon may take nothing of what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The daemon went.
    Gone,
    /// The daemon said goodbye.
    Bye,
    /// It is cut off: the code, and what to say.
    Cut(u16, String),
}

/// The words of the metric that counts ends.
pub(crate) const ENDS: [&str; 5] = ["gone", "bye", "refused", "replaced", "server"];

impl End {
    /// Which of [`ENDS`] it is.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Bye => "bye",
            Self::Cut(close::REPLACED, _) => "replaced",
            Self::Cut(close_code::RESTART | close_code::AGAIN, _) => "server",
            Self::Cut(..) => "refused",
        }
    }

    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self::Cut(close::PROTOCOL, what.into())
    }

    /// It is to come back, here or to another replica.
    pub(super) fn come_back(why: &str) -> Self {
        Self::Cut(close_code::RESTART, why.to_owned())
    }

    pub(super) fn replaced() -> Self {
        Self::Cut(close::REPLACED, "another connection of this workspace has taken the place of this one".to_owned())
    }
}

impl From<DatabaseError> for End {
    /// What was not acknowledged comes again.
    fn from(error: DatabaseError) -> Self {
        tracing::warn!("failed to serve a daemon: {}", chain(&error));
        Self::Cut(close_code::AGAIN, "the database does not answer".to_owned())
    }
}

/// One connection.
pub(super) struct Line(pub(super) WebSocket);

impl Line {
    /// The next frame. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<FromDaemon, End> {
        loop {
            match self.0.recv().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|error| End::protocol(format!("no frame: {error}")));
                }
                Some(Ok(Message::Binary(_))) => return Err(End::protocol("frames are JSON in text messages")),
                // The library answers these.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
            }
        }
    }

    pub(super) async fn send(&mut self, frame: &ToDaemon) -> Result<(), End> {
        let text = serde_json::to_string(frame).map_err(|error| End::protocol(error.to_string()))?;
        let sent = timeout(PATIENCE, self.0.send(Message::Text(text.into()))).await;
        sent.map_err(|_| End::Gone)?.map_err(|_| End::Gone)
    }

    /// Says why, where the other side is still there.
    pub(super) async fn close(mut self, end: &End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::Bye => (close_code::NORMAL, String::new()),
            End::Cut(code, reason) => (*code, reason.clone()),
        };
        // A close frame has room for 123 bytes of reason (RFC 6455 §5.5).
        let reason = reason[..reason.floor_char_boundary(123)].to_owned();
        let close = self.0.send(Message::Close(Some(CloseFrame { code, reason: reason.into() })));
        let _gone = timeout(PATIENCE, close).await;
    }
}
