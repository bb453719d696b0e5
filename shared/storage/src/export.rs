//! Exporting a version as a tar stream (GNU format): the inverse of an import, without temporary files.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use drydock_domain::{Entry, EntryKind, Mode, TenantId};
use futures_util::{Stream, stream};
use tar::{Builder, EntryType, Header};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{Manifest, Storage, StorageError, fetch_block, manifest::Location};

/// Pieces in flight between the writer and the reader of the stream.
const AHEAD: usize = 4;
const PIECE: usize = 64 << 10;

/// All entries of a version in path order, owners 0 and times 0: the same version always gives the same bytes. An
/// error ends the stream.
pub fn export_tar(
    storage: &Storage,
    tenant: TenantId,
    manifest: Arc<Manifest>,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (storage, runtime) = (storage.clone(), Handle::current());
    tokio::task::spawn_blocking(move || {
        let output = Output { sender: sender.clone(), piece: Vec::with_capacity(PIECE) };
        let mut export = Export { storage, tenant, manifest, runtime, last: None };
        if let Err(error) = export.run(output) {
            // A reader that is gone does not want to know.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver)))
}

struct Export {
    storage: Storage,
    tenant: TenantId,
    manifest: Arc<Manifest>,
    runtime: Handle,
    /// The block decoded last: neighbours in path order mostly share it.
    last: Option<(u32, Bytes)>,
}

impl Export {
    fn run(&mut self, output: Output) -> Result<(), StorageError> {
        let manifest = Arc::clone(&self.manifest);
        let mut builder = Builder::new(output);
        for (entry, location) in manifest.iter() {
            self.entry(&mut builder, entry, location)?;
        }
        let finished = builder.into_inner().and_then(|mut output| output.flush());
        finished.map_err(|_| StorageError::Interrupted)
    }

    fn entry(&mut self, to: &mut Builder<Output>, entry: &Entry, location: &Location) -> Result<(), StorageError> {
        let path = Path::new(OsStr::from_bytes(entry.path.as_bytes()));
        let written = match &entry.kind {
            EntryKind::Dir { mode } => to.append_data(&mut header(EntryType::Directory, *mode, 0), path, io::empty()),
            EntryKind::Symlink { target } => {
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                to.append_link(&mut header(EntryType::Symlink, Mode::new(0o777), 0), path, target)
            }
            EntryKind::File { size, mode, .. } => {
                let mut content = Content { export: self, location, size: *size, at: 0, error: None };
                let written = to.append_data(&mut header(EntryType::Regular, *mode, *size), path, &mut content);
                if let Some(error) = content.error {
                    return Err(error);
                }
                written
            }
        };
        // Writing only fails when the reader of the stream is gone.
        written.map_err(|_| StorageError::Interrupted)
    }

    fn block(&mut self, block: u32) -> Result<Bytes, StorageError> {
        match &self.last {
            Some((number, bytes)) if *number == block => Ok(bytes.clone()),
            _ => {
                let fetched = fetch_block(&self.storage, self.tenant, &self.manifest, block);
                let bytes = self.runtime.block_on(fetched)?;
                self.last = Some((block, bytes.clone()));
                Ok(bytes)
            }
        }
    }
}

fn header(kind: EntryType, mode: Mode, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode.bits());
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Reads a file out of its blocks; keeps the typed error that the tar writer would lose.
struct Content<'a> {
    export: &'a mut Export,
    location: &'a Location,
    size: u64,
    at: u64,
    error: Option<StorageError>,
}

impl Content<'_> {
    fn rest_of_block(&mut self) -> Result<Bytes, StorageError> {
        match self.location {
            Location::None => Ok(Bytes::new()),
            &Location::Slice { block, offset } => {
                let start = u64::from(offset) + self.at;
                let end = u64::from(offset) + self.size;
                Ok(self.export.block(block)?.slice(start as usize..end as usize))
            }
            Location::Chunks(blocks) => {
                let chunk = crate::pack::CHUNK as u64;
                let Some(&block) = blocks.get((self.at / chunk) as usize) else {
                    return Ok(Bytes::new());
                };
                Ok(self.export.block(block)?.slice((self.at % chunk) as usize..))
            }
        }
    }
}

impl io::Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest_of_block().map_err(|error| {
            self.error = Some(error);
            io::Error::other("content could not be read")
        })?;
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

/// Collects what the tar writer gives into pieces and sends them.
struct Output {
    sender: mpsc::Sender<Result<Bytes, StorageError>>,
    piece: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(buf);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
