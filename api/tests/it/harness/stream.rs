//! The client's side of a stream: frames as they come, server-sent or one JSON a line.

use futures_util::{Stream, StreamExt as _};
use serde_json::Value;

use super::{Api, PATIENCE};

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open stream; dropping it closes the connection.
pub(crate) struct Frames {
    bytes: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Api {
    pub(crate) async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Frames {
        let request = self.request(reqwest::Method::GET, path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers().clone();
        Frames { bytes: Box::pin(answer.bytes_stream()), buffer: String::new(), headers }
    }
}

impl Frames {
    /// The next frame that says something; none when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let frame = parse(block);
                self.buffer = rest.to_owned();
                match frame {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            let part = tokio::time::timeout(PATIENCE, self.bytes.next()).await.expect("a frame in time")?;
            self.buffer.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
    }

    /// All frames up to and with `end`, after which nothing may come.
    pub(crate) async fn all(mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            let end = frame.event == "end";
            frames.push(frame);
            if end {
                assert!(self.next().await.is_none(), "nothing follows the end");
                return frames;
            }
        }
        panic!("the stream broke off after {frames:?}");
    }

    /// Everything as it was sent.
    pub(crate) async fn rest(mut self) -> String {
        while let Some(part) = tokio::time::timeout(PATIENCE, self.bytes.next()).await.expect("bytes in time") {
            self.buffer.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        self.buffer
    }
}

fn parse(block: &str) -> Option<Frame> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some(Frame { id: field("id: "), event: field("event: "), data: serde_json::from_str(data).unwrap() })
}
