//! How text of strangers is read, without a server around it: for fuzzing, which calls this some million times.

use axum::body::Body;
use bytes::Bytes;
use drydock_domain::RelativePath;
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;

use crate::{
    batches::lines::reader::{Line, Lines},
    extract::unique,
    files::path,
};

/// A path as it stands in a URL; `None` where it is refused.
pub fn url_path(raw: &str) -> Option<RelativePath> {
    path::parse(raw).ok()
}

/// A document of JSON; `None` where it is none, or names something twice.
pub fn json(text: &str) -> Option<Value> {
    unique::parse(text).ok()
}

/// The lines of a batch that are not blank, with their numbers, from a body that comes in these pieces. `None` for a line that is
/// longer than `limit` bytes.
pub async fn batch_lines(
    body: impl Stream<Item = Bytes> + Send + 'static,
    limit: usize,
) -> Vec<(i32, Option<Vec<u8>>)> {
    let body = Body::from_stream(body.map(Ok::<_, std::io::Error>));
    let (mut lines, mut all) = (Lines::new(body, 1, limit), Vec::new());
    while let Ok(Some((number, line))) = lines.next().await {
        all.push(match line {
            Line::Text(text) => (number, Some(text.to_vec())),
            Line::TooLong => (number, None),
        });
    }
    all
}
