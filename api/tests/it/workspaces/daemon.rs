//! A daemon's side of the socket.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};
use uuid::Uuid;

use crate::harness::{Api, PATIENCE};

pub(crate) struct Daemon {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A token of the project's workspace.
pub(crate) async fn token(api: &Api, project: &str) -> String {
    let made = api.post(&format!("/workspaces/{project}/tokens"), &json!({"name": "a laptop"})).await.expect(201);
    made.text("token")
}

impl Daemon {
    /// Opens the socket; or the answer's status.
    pub(crate) async fn open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, StatusCode> {
        let mut request = format!("ws://{address}/api/v1/workspaces/ws").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A daemon of the folder `instance` with these attempts in hand, welcomed.
    pub(crate) async fn connect(address: SocketAddr, of: (&str, &str), instance: Uuid, running: &[&str]) -> Self {
        let headers = [("x-workspace-id", of.0), ("x-daemon-token", of.1)];
        let mut daemon = Self::open(address, &headers).await.unwrap();
        daemon.hello(instance, running).await;
        assert_eq!(daemon.hear().await["type"], "welcome");
        daemon
    }

    pub(crate) async fn hello(&mut self, instance: Uuid, running: &[&str]) {
        let agents = ["dummy"];
        self.say(json!({"type": "hello", "protocol": 1, "instance": instance, "build": "test", "agents": agents, "running": running}))
            .await;
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.socket.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame but heartbeats.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] != "heartbeat" {
                        return frame;
                    }
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next job: its attempt and itself.
    pub(crate) async fn job(&mut self) -> (String, Value) {
        let frame = self.hear().await;
        assert_eq!(frame["type"], "job", "{frame}");
        (frame["attempt"].as_str().unwrap().to_owned(), frame)
    }

    /// The code that it is cut off with, and the reason.
    pub(crate) async fn cut(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_) | Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// That an attempt ended so, and the answer to it.
    pub(crate) async fn result(&mut self, attempt: &str, job: &str, outcome: &str, version: Option<i32>) {
        let report = json!({"summary": "did it", "created_files": ["new.md"], "modified_files": [], "deleted_files": [], "errors": [], "log_bytes": 0});
        self.say(json!({"type": "result", "attempt": attempt, "job": job, "outcome": outcome, "version": version, "report": report}))
            .await;
        assert_eq!(self.hear().await, json!({"type": "done", "attempt": attempt}));
    }

    async fn message(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something is heard");
        next.and_then(Result::ok)
    }
}
