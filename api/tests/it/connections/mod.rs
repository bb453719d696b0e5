//! Connections: who may have how many, and how long one may keep its place.

mod bodies;
mod caps;
mod frames;
mod http2;
mod slow;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::harness::{Api, PATIENCE};

/// A head that lacks its last line.
const HALF: &[u8] = b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\nX-More: ";
const WHOLE: &[u8] = b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection from this address of the host's own network, which is another client to the server.
async fn from(address: [u8; 4], api: &Api) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    socket.connect(api.address).await.unwrap()
}

/// What the server says until it has nothing more to say.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the server ends it");
    // A connection may also be reset.
    let _ended = read;
    String::from_utf8_lossy(&said).into_owned()
}

/// One request and its answer, on a connection that stays.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(WHOLE).await.unwrap();
    let mut said = String::new();
    while !said.contains("\r\n\r\n{") || !said.ends_with('}') {
        let mut part = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await.expect("an answer").unwrap();
        assert!(read > 0, "cut off after '{said}'");
        said.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    said
}

impl Api {
    /// The value of a metric, by its name with labels.
    async fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.get("//metrics").await.expect(200).body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    async fn until_metric(&self, name: &'static str, least: u64) {
        drydock_testing::until(name, PATIENCE, async || (self.metric(name).await >= least).then_some(())).await;
    }
}
