//! Where an archive's writer writes to: pieces for whoever reads the stream.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::StorageError;

/// Pieces in flight between the writer and the reader of the stream.
pub(super) const AHEAD: usize = 4;
const PIECE: usize = 64 << 10;

type Sender = mpsc::Sender<Result<Bytes, StorageError>>;

/// Collects what the writer gives into pieces and sends them.
pub(super) struct Output {
    /// None when the reader is gone: that is said once, and what the writer then still has to say of its end is dropped.
    sender: Option<Sender>,
    piece: Vec<u8>,
}

impl Output {
    pub(super) fn new(sender: Sender) -> Self {
        Self { sender: Some(sender), piece: Vec::with_capacity(PIECE) }
    }
}

impl io::Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(buf);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let Some(sender) = self.sender.as_ref().filter(|_| !piece.is_empty()) else {
            return Ok(());
        };
        sender.blocking_send(Ok(piece.into())).map_err(|_| {
            self.sender = None;
            io::ErrorKind::BrokenPipe.into()
        })
    }
}
