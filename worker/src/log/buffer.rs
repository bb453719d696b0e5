//! What is written next: bytes of the log and progress messages, until they are flushed.

use bytes::{BufMut as _, Bytes, BytesMut};
use drydock_database::log_chunk::MAX_INLINE;

/// Unflushed output.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: BytesMut,
    progress: Vec<String>,
}

impl Buffer {
    /// Most bytes that wait: then a flush comes first, and the agent waits on its pipe.
    pub(super) const FULL: usize = 4 << 20;
    /// Most progress messages that wait.
    const MANY: usize = 100;

    pub(super) fn line(&mut self, line: &[u8]) {
        self.bytes.reserve(line.len() + 1);
        self.bytes.put_slice(line);
        self.bytes.put_u8(b'\n');
    }

    /// A message that repeats the last one says nothing new.
    pub(super) fn progress(&mut self, text: String) {
        if self.progress.last() != Some(&text) {
            self.progress.push(text);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.progress.is_empty()
    }

    /// Whether one row holds what waits.
    pub(super) fn fits_row(&self) -> bool {
        self.bytes.len() <= MAX_INLINE
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= Self::FULL || self.progress.len() >= Self::MANY
    }

    pub(super) fn take(&mut self) -> (Bytes, Vec<String>) {
        (self.bytes.split().freeze(), std::mem::take(&mut self.progress))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_so_much_and_not_a_byte_more() {
        let mut buffer = Buffer::default();
        buffer.line(&[b'x'; MAX_INLINE - 1]);
        assert!(buffer.fits_row());
        buffer.line(b"");
        assert!(!buffer.fits_row());
    }
}
