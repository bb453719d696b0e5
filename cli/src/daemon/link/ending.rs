//! Why a connection ended, or did not begin, and whether another one may help.

use drydock_domain::daemon::{PROTOCOL, close};
use tokio_tungstenite::tungstenite::{self, http, protocol::CloseFrame};

use super::address::AddressError;

/// What no further try mends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Final {
    /// The token is refused from the beginning.
    #[error("the fleet does not know the daemon's token (or not for this project): {0}")]
    Unauthorized(String),
    /// The token counted until now.
    #[error("the daemon's token was revoked: {0}")]
    Revoked(String),
    /// There is no such project.
    #[error("the project is gone, or the server has no daemons: {0}")]
    NoProject(String),
    /// Another daemon has taken the place.
    #[error(
        "another daemon has taken this one's place: {0}. One folder at a time serves a project: stop the other one, then start this one again"
    )]
    Replaced(String),
    /// The project wants its agents walled in.
    #[error(
        "the project asks for more isolation than a daemon gives: {0}. Lower it: drydock project set PROJECT --min-isolation none"
    )]
    Isolation(String),
    /// The server does not understand us.
    #[error(
        "the server does not understand this daemon, which speaks protocol {PROTOCOL}: {0}. Use the drydock of the server's version"
    )]
    Protocol(String),
    /// It cannot even be tried.
    #[error("{0}")]
    Address(String),
}

/// What the API gives every answer.
const REQUEST_ID: &str = "x-request-id";

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Another connection may do better.
    Lost(String),
    /// None will.
    Final(Final),
    /// As we wanted.
    Stopped,
}

impl Ending {
    /// What a close says.
    pub(crate) fn of_close(frame: Option<CloseFrame>) -> Self {
        let Some(frame) = frame else {
            return Self::Lost("the server closed the connection".to_owned());
        };
        let code = u16::from(frame.code);
        let reason = if frame.reason.is_empty() { format!("close code {code}") } else { frame.reason.to_string() };
        match code {
            close::REVOKED => Self::Final(Final::Revoked(reason)),
            close::NO_PROJECT => Self::Final(Final::NoProject(reason)),
            close::REPLACED => Self::Final(Final::Replaced(reason)),
            close::ISOLATION => Self::Final(Final::Isolation(reason)),
            close::PROTOCOL => Self::Final(Final::Protocol(reason)),
            _ => Self::Lost(format!("the server closed the connection ({reason})")),
        }
    }

    /// What a failure says, of the beginning too.
    pub(crate) fn of_error(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::of_response(&response),
            tungstenite::Error::Url(error) => Self::Final(Final::Address(error.to_string())),
            other => Self::Lost(other.to_string()),
        }
    }

    fn of_response(response: &http::Response<Option<Vec<u8>>>) -> Self {
        let status = response.status();
        let body = response.body().as_deref().and_then(said).unwrap_or_else(|| format!("HTTP {status}"));
        // The API marks whatever it answers; a proxy without it, or a wall that asks for money, may change its mind.
        let lost = || Self::Lost(format!("the server answered HTTP {status}: {body}"));
        if !response.headers().contains_key(REQUEST_ID) {
            return lost();
        }
        match status.as_u16() {
            401 | 403 => Self::Final(Final::Unauthorized(body)),
            404 => Self::Final(Final::NoProject(body)),
            412 => Self::Final(Final::Isolation(body)),
            400 | 426 => Self::Final(Final::Protocol(body)),
            _ => lost(),
        }
    }
}

/// The API's own words.
fn said(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = body["detail"].as_str().or_else(|| body["message"].as_str());
    text.map(str::to_owned)
}

impl From<AddressError> for Ending {
    fn from(error: AddressError) -> Self {
        Self::Final(Final::Address(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_whether_to_try_again() {
        let ending = |code: u16| Ending::of_close(Some(CloseFrame { code: code.into(), reason: "why".into() }));
        assert_eq!(ending(4401), Ending::Final(Final::Revoked("why".to_owned())));
        assert_eq!(ending(4409), Ending::Final(Final::Replaced("why".to_owned())));
        for code in [4400, 4404, 4412] {
            assert!(matches!(ending(code), Ending::Final(_)), "{code}");
        }
        for code in [1000, 1001, 1006, 1011, 1012, 4999] {
            assert!(matches!(ending(code), Ending::Lost(_)), "{code}");
        }
        assert!(matches!(Ending::of_close(None), Ending::Lost(_)));
    }

    #[test]
    fn refusals_keep_the_servers_words() {
        let refused = |status: u16| {
            let body = br#"{"message":"m","detail":"Invalid token"}"#.to_vec();
            let answer = http::Response::builder().status(status).header(REQUEST_ID, "r");
            Ending::of_response(&answer.body(Some(body)).unwrap())
        };
        assert_eq!(refused(401), Ending::Final(Final::Unauthorized("Invalid token".to_owned())));
        for status in [401, 403, 404] {
            let of_a_proxy = http::Response::builder().status(status).body(None).unwrap();
            assert!(matches!(Ending::of_response(&of_a_proxy), Ending::Lost(_)), "{status}");
        }
        for status in [429, 500, 502, 503] {
            assert!(matches!(refused(status), Ending::Lost(text) if text.contains("Invalid token")), "{status}");
        }
    }
}
