//! Pass two: the bytes of an image, in order.

use std::io::{self, Write};

use drydock_domain::{Entry, EntryKind};

use super::{
    BLOCK, Extent,
    layout::{DEVICE_SLOT, DEVICE_TABLE, DIRENT, Form, Layout, Owner, SLOT, Stored, chunks, entry},
};

/// `EROFS_SUPER_MAGIC_V1`.
const MAGIC: u32 = 0xE0F5_E1E2;
const BLOCK_BITS: u8 = 12;
/// `EROFS_FEATURE_INCOMPAT_CHUNKED_FILE` and `…_DEVICE_TABLE`.
const INCOMPAT: u32 = 0x4 | 0x8;
/// 4 MiB chunks of 4 KiB blocks, each with an index of device and block.
const CHUNK_FORMAT: u16 = 10 | 0x20;
/// Bytes of such an index.
pub(super) const CHUNK_INDEX: u64 = 8;

/// How an inode's data is found.
#[derive(Clone, Copy)]
enum Data {
    /// Whole blocks, from this one on.
    Plain(u32),
    /// Whole blocks from this one on, and a tail behind the inode.
    Inline(u32),
    /// Indices behind the inode.
    Chunks,
}

struct Inode {
    mode: u32,
    links: u32,
    size: u64,
    data: Data,
    number: u32,
}

pub(super) struct Encoder<'a, W: Write> {
    out: io::BufWriter<&'a mut W>,
    at: u64,
    entries: &'a [Entry],
    layout: &'a Layout<'a>,
    /// The time every inode shows, in seconds since 1970.
    now: u64,
}

impl<'a, W: Write> Encoder<'a, W> {
    pub(super) fn new(out: &'a mut W, layout: &'a Layout<'a>, now: u64) -> Self {
        Self { out: io::BufWriter::with_capacity(64 << 10, out), at: 0, entries: layout.entries(), layout, now }
    }

    pub(super) fn image(mut self, devices: &[u32], mut extents: impl Iterator<Item = Extent>) -> io::Result<u64> {
        self.pad_to(1024)?;
        self.superblock(devices.len())?;
        for blocks in devices {
            self.bytes(&[0; 64])?;
            self.bytes(&blocks.to_le_bytes())?;
            self.bytes(&[0; 60])?;
        }
        debug_assert_eq!(self.at, DEVICE_TABLE + devices.len() as u64 * DEVICE_SLOT);
        let mut stored = self.layout.stored().iter().peekable();
        for index in 0..=self.entries.len() as u32 {
            self.pad_to(self.layout.slot(index) * SLOT)?;
            let data = stored.next_if(|stored| stored.index == index);
            match (entry(self.entries, index).map(|entry| &entry.kind), data) {
                (Some(&EntryKind::File { size, mode, .. }), _) => self.file(index, size, mode.bits(), &mut extents)?,
                (Some(EntryKind::Symlink { target }), data) => self.symlink(index, target.as_bytes(), data)?,
                (Some(EntryKind::Dir { mode }), Some(data)) => self.directory(mode.bits(), data)?,
                (None, Some(data)) => self.directory(0o700, data)?,
                _ => unreachable!("every directory was measured"),
            }
        }
        self.pad_to(self.layout.data_block * BLOCK)?;
        for data in self.layout.stored() {
            self.blocks(data)?;
        }
        self.out.flush()?;
        Ok(self.at)
    }

    fn superblock(&mut self, devices: usize) -> io::Result<()> {
        let blocks = self.layout.bytes() / BLOCK;
        self.bytes(&MAGIC.to_le_bytes())?;
        // No checksum (the cache checks its files itself), no compatible features.
        self.bytes(&[0; 8])?;
        self.bytes(&[BLOCK_BITS, 0])?;
        self.bytes(&(self.layout.slot(0) as u16).to_le_bytes())?;
        self.bytes(&(self.entries.len() as u64 + 1).to_le_bytes())?;
        self.bytes(&self.now.to_le_bytes())?;
        self.bytes(&[0; 4])?;
        self.bytes(&u32::try_from(blocks).map_err(io::Error::other)?.to_le_bytes())?;
        // Inodes are counted from the first block; no shared attributes, no identity, no label.
        self.bytes(&[0; 8 + 16 + 16])?;
        self.bytes(&INCOMPAT.to_le_bytes())?;
        self.bytes(&[0; 2])?;
        self.bytes(&(devices as u16).to_le_bytes())?;
        self.bytes(&((DEVICE_TABLE / DEVICE_SLOT) as u16).to_le_bytes())?;
        self.bytes(&[0; 38])
    }

    fn directory(&mut self, mode: u32, stored: &Stored) -> io::Result<()> {
        let block = (self.layout.data_block as u32) + stored.block;
        let tail = stored.tail();
        let inode = Inode {
            mode: 0o040_000 | mode,
            links: stored.directories.saturating_add(2),
            size: stored.size,
            data: if tail > 0 { Data::Inline(block) } else { Data::Plain(block) },
            number: stored.index,
        };
        self.inode(&inode)?;
        let layout = self.layout;
        match layout.directory_blocks(stored.index).nth(stored.blocks as usize) {
            Some(names) => self.names(&names, stored),
            None => Ok(()),
        }
    }

    fn symlink(&mut self, index: u32, target: &[u8], stored: Option<&Stored>) -> io::Result<()> {
        let data = stored.map_or(Data::Inline(0), |stored| Data::Plain(self.layout.data_block as u32 + stored.block));
        self.inode(&Inode { mode: 0o120_777, links: 1, size: target.len() as u64, data, number: index })?;
        if stored.is_none() { self.bytes(target) } else { Ok(()) }
    }

    /// The data that lies in whole blocks.
    fn blocks(&mut self, stored: &Stored) -> io::Result<()> {
        if let Some(EntryKind::Symlink { target }) = entry(self.entries, stored.index).map(|entry| &entry.kind) {
            self.bytes(target.as_bytes())?;
            return self.pad_to(self.at.next_multiple_of(BLOCK));
        }
        let layout = self.layout;
        for names in layout.directory_blocks(stored.index).take(stored.blocks as usize) {
            self.names(&names, stored)?;
            self.pad_to(self.at.next_multiple_of(BLOCK))?;
        }
        Ok(())
    }

    fn file(&mut self, index: u32, size: u64, mode: u32, extents: &mut impl Iterator<Item = Extent>) -> io::Result<()> {
        let data = if size == 0 { Data::Plain(0) } else { Data::Chunks };
        self.inode(&Inode { mode: 0o100_000 | mode, links: 1, size, data, number: index })?;
        for _ in 0..chunks(size) {
            let extent = extents.next().ok_or_else(|| io::Error::other("a piece of a file has no place"))?;
            self.bytes(&[0; 2])?;
            self.bytes(&extent.device.get().to_le_bytes())?;
            self.bytes(&extent.block.to_le_bytes())?;
        }
        Ok(())
    }

    fn inode(&mut self, inode: &Inode) -> io::Result<()> {
        let form = self.layout.form(inode.size);
        let (layout, union) = match inode.data {
            Data::Plain(block) => (0_u16, block),
            Data::Inline(block) => (2, block),
            Data::Chunks => (4, CHUNK_FORMAT.into()),
        };
        let version = u16::from(form == Form::Extended);
        self.bytes(&(layout << 1 | version).to_le_bytes())?;
        self.bytes(&[0; 2])?;
        self.bytes(&(inode.mode as u16).to_le_bytes())?;
        let Owner { user, group } = self.layout.owner;
        match form {
            Form::Compact => {
                // One is how file systems say "more than I can count".
                let links = u16::try_from(inode.links).unwrap_or(1);
                self.bytes(&links.to_le_bytes())?;
                self.bytes(&(inode.size as u32).to_le_bytes())?;
                self.bytes(&[0; 4])?;
                self.bytes(&union.to_le_bytes())?;
                self.bytes(&inode.number.to_le_bytes())?;
                self.bytes(&(user as u16).to_le_bytes())?;
                self.bytes(&(group as u16).to_le_bytes())?;
                self.bytes(&[0; 4])
            }
            Form::Extended => {
                self.bytes(&[0; 2])?;
                self.bytes(&inode.size.to_le_bytes())?;
                self.bytes(&union.to_le_bytes())?;
                self.bytes(&inode.number.to_le_bytes())?;
                self.bytes(&user.to_le_bytes())?;
                self.bytes(&group.to_le_bytes())?;
                self.bytes(&self.now.to_le_bytes())?;
                self.bytes(&[0; 4])?;
                self.bytes(&inode.links.to_le_bytes())?;
                self.bytes(&[0; 16])
            }
        }
    }

    /// One block of a directory: its entries, then their names.
    fn names(&mut self, names: &[(&[u8], Option<u32>)], directory: &Stored) -> io::Result<()> {
        let mut offset = DIRENT * names.len() as u64;
        for &(name, child) in names {
            let (target, kind) = self.target(directory, name, child);
            self.bytes(&self.layout.slot(target).to_le_bytes())?;
            self.bytes(&(offset as u16).to_le_bytes())?;
            self.bytes(&[kind, 0])?;
            offset += name.len() as u64;
        }
        names.iter().try_for_each(|(name, _)| self.bytes(name))
    }

    /// The index a name in a directory stands for, and its kind.
    fn target(&self, directory: &Stored, name: &[u8], child: Option<u32>) -> (u32, u8) {
        const FILE: u8 = 1;
        const DIRECTORY: u8 = 2;
        const SYMLINK: u8 = 7;
        match child {
            Some(child) => match self.entries[child as usize - 1].kind {
                EntryKind::File { .. } => (child, FILE),
                EntryKind::Dir { .. } => (child, DIRECTORY),
                EntryKind::Symlink { .. } => (child, SYMLINK),
            },
            None if name == b"." => (directory.index, DIRECTORY),
            None => (directory.parent, DIRECTORY),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad_to(&mut self, place: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
        while self.at < place {
            let step = (place - self.at).min(BLOCK) as usize;
            self.bytes(&ZEROS[..step])?;
        }
        Ok(())
    }
}
