//! Lines of a body, numbered as in the file.

use axum::body::Body;
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use crate::error::ApiError;

/// Reads a body line by line.
pub(crate) struct Lines {
    body: Box<dyn AsyncBufRead + Send + Unpin>,
    /// Longest line, in bytes.
    limit: usize,
    number: i32,
    buffer: Vec<u8>,
}

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'l> {
    Text(&'l [u8]),
    /// It is longer than the limit, and was skipped.
    TooLong,
}

impl Lines {
    /// The first line of `body` is line `first` of the file.
    pub(crate) fn new(body: Body, first: i32, limit: usize) -> Self {
        let body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        Self { body: Box::new(body), limit, number: first - 1, buffer: Vec::new() }
    }

    /// The next line that is not blank, with its number.
    pub(crate) async fn next(&mut self) -> Result<Option<(i32, Line<'_>)>, ApiError> {
        loop {
            let room = u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1);
            self.buffer.clear();
            let read = (&mut self.body).take(room).read_until(b'\n', &mut self.buffer).await;
            if read.map_err(broken)? == 0 {
                return Ok(None);
            }
            self.number = self.number.saturating_add(1);
            if self.buffer.len() > self.limit && !self.buffer.ends_with(b"\n") {
                self.skip().await?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.buffer.trim_ascii().is_empty() {
                // Told apart once more for the borrow's sake.
                return Ok(Some((self.number, Line::Text(self.buffer.trim_ascii()))));
            }
        }
    }

    /// To the end of the line, without keeping it.
    async fn skip(&mut self) -> Result<(), ApiError> {
        loop {
            let there = self.body.fill_buf().await.map_err(broken)?;
            let end = there.iter().position(|byte| *byte == b'\n');
            let (used, done) = (end.map_or(there.len(), |at| at + 1), end.is_some() || there.is_empty());
            self.body.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}

fn broken(_: std::io::Error) -> ApiError {
    ApiError::BadRequest("Body broke off; the lines before that are accepted: send it again".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &'static str, limit: usize) -> Vec<(i32, Option<String>)> {
        let mut lines = Lines::new(Body::from(text), 1, limit);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().await.unwrap() {
            let text = match line {
                Line::Text(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Line::TooLong => None,
            };
            all.push((number, text));
        }
        all
    }

    #[tokio::test]
    async fn lines_keep_their_numbers() {
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(all("", 9).await, []);
        assert_eq!(all("a\n\n  \r\nb\r\nc", 9).await, [(1, told("a")), (4, told("b")), (5, told("c"))]);
        assert_eq!(
            all("123\n1234\n12345\n1\n", 4).await,
            [(1, told("123")), (2, told("1234")), (3, None), (4, told("1"))]
        );
        assert_eq!(all("12345", 4).await, [(1, None)]);
        assert_eq!(all("1234", 4).await, [(1, told("1234"))]);
    }
}
