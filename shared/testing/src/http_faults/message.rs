//! Messages of HTTP/1.1 (RFC 9112), as far as it takes to carry them and to spoil them.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The lines before a body; the first one is the request or status line.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) lines: Vec<String>,
}

impl Head {
    /// Reads one; `None` when the peer is done.
    pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).await? == 0 {
                return if lines.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                return Ok(Some(Self { lines }));
            }
            lines.push(line);
        }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.lines.first().map(String::as_str).unwrap_or_default().split(' ')
    }

    /// Of an answer.
    pub(super) fn status(&self) -> u16 {
        self.words().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value =
            |line: &'_ String| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name)).is_some();
        let line = self.lines.iter().skip(1).find(|line| value(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.lines.push(format!("{name}: {value}"));
    }

    pub(super) fn remove(&mut self, name: &str) {
        let is_it = |line: &String| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.lines.retain(|line| !is_it(line));
    }

    /// Reads the body that follows.
    pub(super) async fn body(&self, from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
        assert!(self.header("transfer-encoding").is_none(), "bodies without a length are not carried: {self:?}");
        let length = self.header("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(body)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
        bytes.extend(b"\r\n");
        bytes
    }
}
