//! Exporting a version, or a part of it, as a stream: the inverse of an import, without temporary files.
//!
//! Entries come in path order, with owners 0 and one fixed time: the same version always gives the same bytes. Of a file no more than a
//! block is held in memory.

mod content;
mod output;
mod tar;
mod zip;

use std::{io, io::Write as _, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Entry, RelativePath, TenantId};
use flate2::write::GzEncoder;
use futures_util::{Stream, stream};
use tokio::{runtime::Handle, sync::mpsc};

use self::{
    content::{Blocks, Content},
    output::{AHEAD, Output},
};
use crate::{Manifest, Storage, StorageError, manifest::Location};

/// zstd's own default: some three times as fast as gzip's, and smaller.
const ZSTD_LEVEL: i32 = 3;

/// A kind of archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// GNU tar.
    #[default]
    Tar,
    /// The same through gzip.
    TarGz,
    /// The same through zstd.
    TarZst,
    /// ZIP with deflate, data descriptors, and ZIP64 where that is needed.
    Zip,
}

/// Which entries of a version go into its archive.
pub type Part = Box<dyn Fn(&RelativePath) -> bool + Send>;

/// The entries of a version that `part` wants; of the empty version, an archive of nothing. An error ends the stream.
pub fn export(
    storage: &Storage,
    tenant: TenantId,
    manifest: Option<Arc<Manifest>>,
    format: Format,
    part: Part,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let blocks = manifest.map(|manifest| Blocks::new(storage.clone(), tenant, manifest, Handle::current()));
    tokio::task::spawn_blocking(move || {
        let export = Export { blocks, part };
        if let Err(error) = export.run(format, Output::new(sender.clone())) {
            // A reader that is gone does not want to know.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver)))
}

struct Export {
    blocks: Option<Blocks>,
    part: Part,
}

impl Export {
    fn run(self, format: Format, output: Output) -> Result<(), StorageError> {
        let finished = match format {
            Format::Tar => self.tar(output)?.flush(),
            Format::TarGz => {
                let packed = GzEncoder::new(output, flate2::Compression::default());
                self.tar(packed)?.finish().and_then(|mut output| output.flush())
            }
            Format::TarZst => {
                let packed = zstd::Encoder::new(output, ZSTD_LEVEL).map_err(gone)?;
                self.tar(packed)?.finish().and_then(|mut output| output.flush())
            }
            Format::Zip => {
                let mut archive = zip::Archive::new(output);
                self.each(|entry, content| archive.entry(entry, content))?;
                archive.finish().and_then(|mut output| output.flush())
            }
        };
        finished.map_err(gone)
    }

    fn tar<W: io::Write>(self, output: W) -> Result<W, StorageError> {
        let mut archive = tar::Archive::new(output);
        self.each(|entry, content| archive.entry(entry, content))?;
        archive.finish().map_err(gone)
    }

    /// Calls `write` with each entry and its content.
    fn each(self, mut write: impl FnMut(&Entry, &mut Content<'_>) -> io::Result<()>) -> Result<(), StorageError> {
        let Some(mut blocks) = self.blocks else {
            return Ok(());
        };
        let manifest = Arc::clone(blocks.manifest());
        let wanted = manifest.iter().filter(|(entry, _)| (self.part)(&entry.path));
        for (entry, location) in wanted {
            one(&mut blocks, entry, location, &mut write)?;
        }
        Ok(())
    }
}

fn one(
    blocks: &mut Blocks,
    entry: &Entry,
    location: &Location,
    write: &mut impl FnMut(&Entry, &mut Content<'_>) -> io::Result<()>,
) -> Result<(), StorageError> {
    let mut content = Content::new(blocks, location, entry.size());
    let written = write(entry, &mut content);
    match content.into_error() {
        Some(error) => Err(error),
        None => written.map_err(gone),
    }
}

/// Writing only fails when the reader of the stream is gone.
fn gone(_: io::Error) -> StorageError {
    StorageError::Interrupted
}
