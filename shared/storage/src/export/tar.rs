//! Tar, in GNU's form.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use drydock_domain::{Entry, EntryKind, Mode};
use tar::{Builder, EntryType, Header};

/// The field for a link's target with its NUL; a longer one stands in an entry of its own (GNU tar manual, "Basic Tar Format").
const LINK_FIELD: usize = 100;

/// An archive in the making.
pub(super) struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    pub(super) fn new(output: W) -> Self {
        Self(Builder::new(output))
    }

    pub(super) fn entry(&mut self, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
        let path = Path::new(OsStr::from_bytes(entry.path.as_bytes()));
        match &entry.kind {
            EntryKind::Dir { mode } => {
                self.0.append_data(&mut header(EntryType::Directory, *mode, 0), path, io::empty())
            }
            EntryKind::Symlink { target } => self.link(path, target.as_bytes()),
            EntryKind::File { size, mode, .. } => {
                self.0.append_data(&mut header(EntryType::Regular, *mode, *size), path, content)
            }
        }
    }

    /// A link's target is data: kept byte for byte, where the library would tidy it up like a path.
    fn link(&mut self, path: &Path, target: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, Mode::new(0o777), 0);
        if target.len() < LINK_FIELD {
            header.set_link_name_literal(target)?;
        } else {
            let mut long = Header::new_gnu();
            long.set_entry_type(EntryType::GNULongLink);
            long.set_size(target.len() as u64 + 1);
            long.set_mode(0o644);
            long.set_uid(0);
            long.set_gid(0);
            long.set_mtime(0);
            self.0.append_data(&mut long, "././@LongLink", [target, b"\0"].concat().as_slice())?;
        }
        self.0.append_data(&mut header, path, io::empty())
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.0.into_inner()
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
