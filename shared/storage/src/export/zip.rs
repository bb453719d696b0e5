//! ZIP (PKWARE APPNOTE 6.3.10), written from front to back: sizes and checksums follow each content. Kinds and permissions are in the Unix
//! half of the external attributes, as Info-ZIP keeps them; a link is a file whose content is its target.

use std::io::{self, Read, Write};

use drydock_domain::{Entry, EntryKind, Mode};
use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

/// From here on an entry is written with 64-bit sizes. Less than the limit of 32 bits, because what cannot be compressed grows a little.
const LARGE: u64 = u32::MAX as u64 - (64 << 20);

const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;
/// The directory bit of MS-DOS, for readers that know no other.
const DOS_DIRECTORY: u32 = 0x10;

/// An archive in the making.
pub(super) struct Archive<W: Write>(ZipWriter<StreamWriter<W>>);

impl<W: Write> Archive<W> {
    pub(super) fn new(output: W) -> Self {
        Self(ZipWriter::new_stream(output))
    }

    pub(super) fn entry(&mut self, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
        let path = entry.path.as_bytes();
        match &entry.kind {
            EntryKind::Dir { mode } => self.directory(entry, *mode),
            EntryKind::Symlink { target } => {
                self.start(path, LINK << 16, 0)?;
                self.0.write_all(target.as_bytes())
            }
            EntryKind::File { size, mode, .. } => {
                self.start(path, (FILE | mode.bits()) << 16, *size)?;
                io::copy(content, &mut self.0).map(drop)
            }
        }
    }

    /// The library has a directory of its own kind, and takes text for its name; for other names the slash at the end must do.
    fn directory(&mut self, entry: &Entry, mode: Mode) -> io::Result<()> {
        match entry.path.to_str() {
            Some(name) => Ok(self.0.add_directory(name, options(0).unix_permissions(mode.bits()))?),
            None => {
                let name = [entry.path.as_bytes(), b"/"].concat();
                self.start(&name, (mode.bits() << 16) | DOS_DIRECTORY, 0)
            }
        }
    }

    fn start(&mut self, name: &[u8], attributes: u32, size: u64) -> io::Result<()> {
        Ok(self.0.start_file_with_options(options(size).name(name).external_attributes(attributes))?)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        Ok(self.0.finish()?.into_inner())
    }
}

/// For an entry of so many bytes.
fn options(size: u64) -> SimpleFileOptions {
    let method = if size == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .large_file(size >= LARGE)
}
