//! Directories as tar streams, both ways: what `pull` unpacks and what `project import` sends. Sorted, so that the same tree is always the same bytes; links
//! as they are, modes kept, owners and times left out. One file at a time is open and none is held in memory.

mod changes;
mod channel;
mod listing;
mod unpack;
mod walk;

pub(crate) use self::{
    changes::hash,
    unpack::{DIRECTORY, NEW_FILE, directory},
    walk::rules,
};

use std::{
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;
use tar::{Builder, EntryType, Header};

pub use self::{
    changes::{Known, Plan, write_changes},
    channel::{stream, stream_of},
    listing::listing,
    unpack::{Feed, Git, unpack, unpack_stream},
    walk::{Exclude, Totals},
};

/// What goes into `tar`'s name field with the terminating NUL (GNU tar, "The `GNU`-specific header").
const LINK_FIELD: usize = 100;

/// Writes the tree below `root` to `out`; returns what it held and tells what could not be sent or heeded.
///
/// # Errors
/// A file cannot be read, changes its size while it is read, or `out` fails.
pub fn write(root: &Path, exclude: &Exclude, out: impl Write, tell: &mut dyn FnMut(&str)) -> io::Result<Totals> {
    let mut builder = Builder::new(out);
    let mut totals = Totals::default();
    let (rules, flaws) = walk::rules(root)?;
    flaws.iter().for_each(|flaw| tell(&flaw.to_string()));
    let ignored = walk::each(root, exclude, &rules, &mut |entry| {
        let kind = entry.metadata.file_type();
        if !(kind.is_dir() || kind.is_symlink() || kind.is_file()) {
            tell(&format!("left out '{}': it is no file, directory or symbolic link", entry.relative.display()));
            return Ok(());
        }
        totals.files += u64::from(!kind.is_dir());
        totals.bytes += put(&mut builder, &entry)?.0;
        Ok(())
    })?;
    builder.into_inner()?.flush()?;
    Ok(Totals { ignored, ..totals })
}

/// One file, directory or link; the bytes of a file, and what was put.
fn put(builder: &mut Builder<impl Write>, entry: &walk::Entry) -> io::Result<(u64, Known)> {
    let kind = entry.metadata.file_type();
    if kind.is_dir() {
        return append(builder, entry, EntryType::Directory, 0, io::empty()).map(|()| (0, Known::Dir));
    }
    if kind.is_symlink() {
        let target = symlink(builder, entry)?;
        return Ok((0, Known::Symlink(target.to_string_lossy().into_owned())));
    }
    let file = open(&entry.absolute)?;
    let size = file.metadata()?.len();
    let mut data = Exact { file, left: size, hasher: blake3::Hasher::new() };
    append(builder, entry, EntryType::Regular, size, &mut data)?;
    let blake3 = data.hasher.finalize().to_hex().to_string();
    Ok((size, Known::File { size, mode: entry.metadata.permissions().mode() & 0o777, blake3 }))
}

/// Opens a regular file. It was one when it was looked at; by now it may be a link to somewhere else, or a pipe that nobody writes to.
fn open(path: &Path) -> io::Result<fs_err::File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other(format!("'{}' is no file any more", path.display())))
}

fn header(entry: &walk::Entry, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(entry.metadata.permissions().mode() & 0o7777);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append(
    builder: &mut Builder<impl Write>,
    entry: &walk::Entry,
    kind: EntryType,
    size: u64,
    data: impl Read,
) -> io::Result<()> {
    builder.append_data(&mut header(entry, kind, size), &entry.relative, data)
}

/// A link's target is data: kept byte for byte, where the library would tidy it up like a path.
fn symlink(builder: &mut Builder<impl Write>, entry: &walk::Entry) -> io::Result<PathBuf> {
    let path = fs_err::read_link(&entry.absolute)?;
    let target = path.as_os_str().as_bytes();
    let mut header = header(entry, EntryType::Symlink, 0);
    if target.len() < LINK_FIELD {
        header.set_link_name_literal(target)?;
    } else {
        let mut long = Header::new_gnu();
        long.set_entry_type(EntryType::GNULongLink);
        long.set_size(target.len() as u64 + 1);
        long.set_mode(0o644);
        builder.append_data(&mut long, "././@LongLink", [target, b"\0"].concat().as_slice())?;
    }
    builder.append_data(&mut header, &entry.relative, io::empty())?;
    Ok(path)
}

/// Exactly as many bytes as the header promised: an archive cannot take back what it said.
struct Exact {
    file: fs_err::File,
    left: u64,
    /// Of what was read.
    hasher: blake3::Hasher,
}

impl Read for Exact {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let read = self.file.read(&mut buf[..most])?;
        if read == 0 && most > 0 {
            let path = self.file.path().display();
            return Err(io::Error::other(format!("'{path}' became shorter while it was read")));
        }
        self.left -= read as u64;
        self.hasher.update(&buf[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
