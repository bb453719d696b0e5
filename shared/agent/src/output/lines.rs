//! Cutting a byte stream into lines with bounded memory. A line beyond the limit comes in pieces, never cut inside a secret.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;

use crate::redact::Redactor;

/// Bytes asked from a pipe at once: what a pipe holds by default (pipe(7)).
const CHUNK: usize = 64 * 1024;

/// A line splitter for one stream.
pub struct Lines {
    buffer: BytesMut,
    /// Bytes at the front of `buffer` that hold no newline.
    searched: usize,
    limit: usize,
}

impl Lines {
    /// For lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, limit }
    }

    /// Room for the next read.
    pub fn room(&mut self) -> &mut BytesMut {
        self.buffer.reserve(CHUNK);
        &mut self.buffer
    }

    /// The next line without its newline, or a piece of one that is too long.
    pub fn next(&mut self, redactor: &Redactor) -> Option<Bytes> {
        if let Some(at) = memchr(b'\n', &self.buffer[self.searched..]) {
            let line = self.buffer.split_to(self.searched + at).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            return Some(line);
        }
        self.searched = self.buffer.len();
        if self.buffer.len() < self.limit + redactor.longest().max(1) {
            return None;
        }
        let cut = redactor.cut(&self.buffer, self.limit);
        self.searched -= cut;
        Some(self.buffer.split_to(cut).freeze())
    }

    /// What is left when the stream ended without a newline.
    pub fn rest(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::redactor;

    fn split(limit: usize, secrets: &[&[u8]], reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let (redactor, mut lines, mut all) = (redactor(secrets), Lines::new(limit), Vec::new());
        for read in reads {
            lines.room().extend_from_slice(read);
            while let Some(line) = lines.next(&redactor) {
                all.push(redactor.bytes(line).to_vec());
            }
        }
        all.extend(lines.rest().map(|line| redactor.bytes(line).to_vec()));
        all
    }

    #[test]
    fn lines_may_be_split_over_reads_and_bytes_are_kept() {
        let all = split(100, &[], &[b"a", b"b\n\nc\r\n\xff", b"\xfe\nlast"]);
        assert_eq!(all, [b"ab".as_slice(), b"", b"c\r", b"\xff\xfe", b"last"]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let all = split(10, &[], &[&[b'x'; 25], b"\ny\n"]);
        assert_eq!(all, [vec![b'x'; 10], vec![b'x'; 10], vec![b'x'; 5], vec![b'y']]);
    }

    #[test]
    fn a_secret_is_found_wherever_a_long_line_is_cut_or_read() {
        let secret = b"SECRET-VALUE".as_slice();
        for before in 0..30 {
            let mut text = vec![b'.'; before];
            text.extend_from_slice(secret);
            text.extend_from_slice(&[b'.'; 30]);
            for read in [1, 3, 7, 100] {
                let reads: Vec<&[u8]> = text.chunks(read).collect();
                let joined = split(10, &[secret], &reads).concat();
                assert!(!joined.windows(4).any(|part| part == b"SECR" || part == b"ALUE"), "{before} {read}");
                assert_eq!(joined.len(), text.len() - secret.len() + 10);
            }
        }
    }
}
