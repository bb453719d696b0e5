//! HTTP/2 as bytes (RFC 9113), so that a test may send what no client library would.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::from;
use crate::harness::{Api, PATIENCE};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// `GET / http` of the static table, and an authority of one letter (RFC 7541 §6).
pub(super) const FIELDS: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

/// A frame: kind, flags, stream, payload.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection after both sides' settings.
pub(super) struct Http2 {
    stream: TcpStream,
    /// Those of the server.
    pub(super) settings: Vec<(u16, u32)>,
}

impl Http2 {
    pub(super) async fn connect(api: &Api) -> Self {
        let mut stream = from([127, 0, 0, 1], api).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let mut connected = Self { stream, settings: Vec::new() };
        let (kind, payload) = connected.hear().await.expect("settings");
        assert_eq!(kind, SETTINGS);
        connected.settings = payload
            .chunks(6)
            .map(|one| {
                let (id, value) = one.split_at(2);
                (u16::from_be_bytes(id.try_into().unwrap()), u32::from_be_bytes(value.try_into().unwrap()))
            })
            .collect();
        connected
    }

    /// Whether it could be sent: the server may have enough.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame: its kind and payload; none where the connection is over.
    pub(super) async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let frame = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some((head[3], payload))
        };
        tokio::time::timeout(PATIENCE, frame).await.expect("the server says something or ends it")
    }

    /// Frames to the end of the connection, by kind.
    pub(super) async fn rest(mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some((kind, _)) = self.hear().await {
            kinds.push(kind);
        }
        kinds
    }
}
