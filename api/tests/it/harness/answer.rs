//! What came back, and the checks every test makes on it.

use std::net::SocketAddr;

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Status, headers and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let answer = Self { status, headers, body: answer.bytes().await.unwrap().to_vec() };
        answer.check();
        answer
    }

    /// The body of an answer that was not checked.
    pub(crate) async fn body_of(answer: reqwest::Response) -> Value {
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    /// Every failure has the one body, and its id is that of the header.
    fn check(&self) {
        let id = self.header("x-request-id").expect("every answer has an id");
        if self.status < 400 {
            return;
        }
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], self.status, "{body}");
        assert_eq!(body["correlation_id"], id, "{body}");
        assert!(body["error"].is_string() && body["message"].is_string(), "{body}");
        let known = ["error", "message", "code", "detail", "correlation_id"];
        assert!(body.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{body}");
        assert!(body.as_object().unwrap().values().all(|value| !value.is_null()), "{body}");
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no text '{field}' in {}", self.json())).to_owned()
    }

    /// The error word and what is said of it.
    pub(crate) fn error(&self) -> (String, Value) {
        (self.text("error"), self.json()["detail"].clone())
    }

    /// The rows of a 422 as `field: type`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let detail = self.json()["detail"].clone();
        let rows = detail.as_array().unwrap_or_else(|| panic!("no rows: {detail}")).iter();
        rows.map(|row| {
            let loc: Vec<String> =
                row["loc"].as_array().unwrap()[1..].iter().map(|part| part.to_string().replace('"', "")).collect();
            format!("{}: {}", loc.join("."), row["type"].as_str().unwrap())
        })
        .collect()
    }
}

/// Sends bytes as they are and reads to the end; the request must ask for `Connection: close`.
pub(super) async fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let answer = Answer { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() };
    assert!(StatusCode::from_u16(status).is_ok());
    answer.check();
    answer
}
