//! From the thread that reads files to the task that sends them: a few blocks ahead, never more.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Exclude, Totals, write};

const BLOCK: usize = 256 << 10;
const AHEAD: usize = 4;

/// The archive of `root` as a stream of blocks, and the thread that makes it. `tell` hears of what cannot be sent or heeded.
pub fn stream(
    root: PathBuf,
    exclude: Exclude,
    mut tell: impl FnMut(&str) + Send + 'static,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<Totals>>) {
    stream_of(move |out| write(&root, &exclude, out, &mut tell))
}

/// What `write` writes as a stream of blocks, and the thread that does.
pub fn stream_of(
    write: impl FnOnce(&mut dyn Write) -> io::Result<Totals> + Send + 'static,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<Totals>>) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let thread = tokio::task::spawn_blocking(move || {
        let mut out = Blocks { sender: sender.clone(), block: Vec::with_capacity(BLOCK) };
        let outcome = write(&mut out);
        if let Err(error) = &outcome {
            // Breaks the request off, so that half an archive is not taken for a whole one.
            let _closed = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        outcome
    });
    (stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|block| (block, receiver))), thread)
}

struct Blocks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    block: Vec<u8>,
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let closed = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the server does not read any further");
        self.sender.blocking_send(Ok(block.into())).map_err(closed)
    }
}
