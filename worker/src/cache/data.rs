//! Data files: contents of many files in one, each from a block of its own, written once.
//!
//! ```text
//! data/<id>          pieces (small files, or 4 MiB chunks of bigger ones), each from a multiple of 4 KiB on
//! data/<id>.index    which pieces, and where; a data file without a valid one is rubbish
//! ```
//! A new file is reserved on disk at its full length before the first byte is fetched, filled out of order, and becomes
//! visible when its index does. Nothing is synced on the way: [`Unsynced::sync`] does that afterwards and says so in the
//! index, and after a crash of the machine those that were not synced are not trusted (see [`super::restore`]).

use std::{
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use drydock_domain::{Digest, TenantId};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use super::{
    image::BLOCK,
    index::{self, Durability, Header},
};

/// A piece of content in a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// BLAKE3 of it.
    pub(super) digest: Digest,
    /// First block.
    pub(super) block: u32,
    /// Bytes.
    pub(super) len: u32,
}

impl Piece {
    /// Blocks a piece of `len` bytes takes.
    pub(super) const fn blocks(len: u32) -> u32 {
        (len as u64).div_ceil(BLOCK) as u32
    }
}

/// A complete data file; gone from the disk when it is condemned and its last user lets go.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(super) tenant: TenantId,
    path: PathBuf,
    blocks: u32,
    pieces: u32,
    condemned: Arc<AtomicBool>,
    /// The disk did not take it: what is read may not be what was written.
    lost: Arc<AtomicBool>,
    used: AtomicU64,
    /// When it was last written to; `None` while it is.
    written: Option<SystemTime>,
}

impl DataFile {
    /// One that has a valid index; refuses one of another length, and one that was written to after its index.
    pub(super) fn found(path: PathBuf, header: &Header) -> io::Result<Self> {
        let Header { tenant, blocks, count, .. } = *header;
        let written = modified(&path)?;
        let indexed = modified(&index::path(&path))?;
        let mut data = Self::new(tenant, path, blocks, false);
        (data.pieces, data.written) = (count, Some(written));
        if data.is_whole() && written <= indexed {
            Ok(data)
        } else {
            Err(io::Error::other("a data file is not the one its index was written for"))
        }
    }

    fn new(tenant: TenantId, path: PathBuf, blocks: u32, condemned: bool) -> Self {
        let condemned = Arc::new(AtomicBool::new(condemned));
        Self {
            tenant,
            path,
            blocks,
            condemned,
            lost: Arc::default(),
            used: AtomicU64::new(0),
            written: None,
            pieces: 0,
        }
    }

    /// Whether nobody cut it or wrote to it behind our back, and the disk took it as far as is known. Bytes that the disk itself
    /// gives back wrong, or whose writer put the times back, are not noticed: that would take reading all of it.
    pub(super) fn is_whole(&self) -> bool {
        let is_as_written = |found: &Metadata| self.written.is_none() || found.modified().ok() == self.written;
        let is_ours = |found: &Metadata| found.is_file() && found.len() == self.bytes() && is_as_written(found);
        !self.lost.load(Ordering::Relaxed) && self.path.symlink_metadata().is_ok_and(|found| is_ours(&found))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For reading. Opened when it is needed: there may be more of them than files a process may have open.
    pub(crate) fn open(&self) -> io::Result<File> {
        fs_err::File::open(&self.path).map(fs_err::File::into_file)
    }

    pub(super) const fn blocks(&self) -> u32 {
        self.blocks
    }

    pub(super) const fn pieces(&self) -> u32 {
        self.pieces
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.blocks as u64 * BLOCK
    }

    /// When it was last wanted, by a clock of the cache's own.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self, now: u64) {
        self.used.fetch_max(now, Ordering::Relaxed);
    }

    /// Whether nothing has decided that it goes.
    pub(super) fn stays(&self) -> bool {
        !self.condemned.load(Ordering::Relaxed)
    }

    /// Lets it go from the disk with its last user. Its index goes now, so that no later start finds it.
    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
        remove(&index::path(&self.path));
    }

    /// What it takes to bring it to the disk, which does not pin it.
    pub(super) fn unsynced(&self) -> Unsynced {
        let (condemned, lost) = (Arc::clone(&self.condemned), Arc::clone(&self.lost));
        Unsynced { path: self.path.clone(), written: self.written, condemned, lost }
    }
}

/// A data file that is not on the disk yet.
#[derive(Debug)]
pub(super) struct Unsynced {
    path: PathBuf,
    /// When the last of it was written by us.
    written: Option<SystemTime>,
    condemned: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

impl Unsynced {
    /// Brings it to the disk, then says so in its index. Blocking, as long as the disk takes.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.is_condemned() {
            return Ok(());
        }
        // After a failed sync the kernel takes the pages for written (fsync(2)): they are not to be trusted any more.
        fs_err::File::open(&self.path)?.sync_data().inspect_err(|_| self.lose())?;
        if self.is_condemned() {
            return Ok(());
        }
        if self.written != Some(modified(&self.path)?) {
            self.lose();
            return Err(io::Error::other("a data file was written to before it was on the disk"));
        }
        let marked = index::mark_synced(&self.path);
        // Evicted at this very moment: its index was removed before it was read or written.
        if self.is_condemned() {
            remove(&index::path(&self.path));
            return Ok(());
        }
        marked
    }

    /// Neither this process nor a later one is to trust it.
    fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        remove(&index::path(&self.path));
    }

    fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Relaxed)
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        if self.condemned.load(Ordering::Relaxed) {
            remove(&self.path);
        }
    }
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs_err::symlink_metadata(path)?.modified()
}

fn remove(path: &Path) {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "a file of the cache could not be removed, left to the next start");
        }
        _ => {}
    }
}

/// A data file being filled; removed when it is dropped before its end.
#[derive(Debug)]
pub(super) struct DataWriter {
    data: DataFile,
    file: File,
}

impl DataWriter {
    /// Reserves `blocks` on disk.
    pub(super) fn create(directory: &Path, tenant: TenantId, blocks: u32) -> io::Result<Self> {
        let path = directory.join(format!("{:016x}", rand::random::<u64>()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        let data = DataFile::new(tenant, path, blocks, true);
        match fallocate(&file, FallocateFlags::empty(), 0, data.bytes()) {
            // Where space cannot be reserved, writing tells.
            Err(Errno::OPNOTSUPP) => file.set_len(data.bytes())?,
            reserved => reserved?,
        }
        Ok(Self { data, file })
    }

    /// Writes whole blocks from `block` on; padding is the caller's.
    pub(super) fn write(&self, block: u32, bytes: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.file.write_all_at(bytes, u64::from(block) * BLOCK)
    }

    /// As it is, for as long as it is held.
    pub(super) fn unnamed(self) -> DataFile {
        self.data
    }

    /// All of it is written: it counts from now on.
    pub(super) fn finish(mut self, pieces: impl ExactSizeIterator<Item = Piece>) -> io::Result<DataFile> {
        self.data.written = Some(modified(&self.data.path)?);
        let DataFile { tenant, blocks, .. } = self.data;
        let count = u32::try_from(pieces.len()).map_err(io::Error::other)?;
        let header = Header { tenant, blocks, durability: Durability::Written, count };
        index::write(&self.data.path, &header, pieces.map(Ok))?;
        self.data.pieces = count;
        self.data.condemned.store(false, Ordering::Relaxed);
        Ok(self.data)
    }
}
