//! Pass one: where each inode of an image lies, and how long each directory is.

use std::{collections::HashMap, io};

use drydock_domain::{Entry, EntryKind, Tree};

use super::{BLOCK, DEVICES_MAX, encode::CHUNK_INDEX};

/// Inodes are numbered by their place, in units of this many bytes.
pub(super) const SLOT: u64 = 32;
/// First byte of the device table: behind the superblock, which lies at 1024.
pub(super) const DEVICE_TABLE: u64 = 1024 + 128;
pub(super) const DEVICE_SLOT: u64 = 128;
pub(super) const DIRENT: u64 = 12;
/// Sizes and owners beyond this need the extended inode.
const COMPACT_MAX: u64 = u32::MAX as u64;

/// Which form an inode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Compact,
    Extended,
}

impl Form {
    fn of(size: u64, owner: Owner) -> Self {
        if size > COMPACT_MAX || !owner.is_small() { Self::Extended } else { Self::Compact }
    }

    pub(super) const fn len(self) -> u64 {
        match self {
            Self::Compact => 32,
            Self::Extended => 64,
        }
    }
}

/// Whom every inode belongs to: this process, asked once an image (two system calls an inode were most of its time).
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Owner {
    fn of_this_process() -> Self {
        Self { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() }
    }

    fn is_small(self) -> bool {
        self.user.max(self.group) <= u32::from(u16::MAX)
    }
}

/// The data of a directory or of a long symlink: whole blocks apart, then a tail behind its inode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    pub(super) index: u32,
    pub(super) size: u64,
    /// First of its whole blocks, counted from the first block behind all inodes.
    pub(super) block: u32,
    pub(super) blocks: u32,
    /// Of a directory: the one it lies in.
    pub(super) parent: u32,
    /// Of a directory: those in it.
    pub(super) directories: u32,
}

impl Stored {
    /// Bytes behind the inode.
    pub(super) fn tail(&self) -> u64 {
        self.size.saturating_sub(u64::from(self.blocks) * BLOCK)
    }
}

/// Places of the inodes of a tree. Index 0 is the top directory, entry `n` of the tree has index `n + 1`.
#[derive(Debug)]
pub(crate) struct Layout<'t> {
    tree: &'t Tree,
    pub(super) owner: Owner,
    slots: Vec<u32>,
    /// Directories and long symlinks, in index order.
    stored: Vec<Stored>,
    /// First block behind all inodes.
    pub(super) data_block: u64,
    /// Blocks of directories there.
    pub(super) data_blocks: u32,
}

impl<'t> Layout<'t> {
    /// For an image that points into so many data files.
    pub(crate) fn of(tree: &'t Tree, devices: usize) -> io::Result<Self> {
        if devices > DEVICES_MAX {
            return Err(io::Error::other("too many data files for one image"));
        }
        let slots = Vec::with_capacity(tree.entries().len() + 1);
        let owner = Owner::of_this_process();
        let mut layout = Self { tree, owner, slots, stored: Vec::new(), data_block: 0, data_blocks: 0 };
        layout.stored = layout.measure();
        layout.data_blocks = layout.stored.last().map_or(0, |last| last.block + last.blocks);
        layout.place(DEVICE_TABLE + devices as u64 * DEVICE_SLOT)?;
        Ok(layout)
    }

    /// Bytes of the image.
    pub(crate) fn bytes(&self) -> u64 {
        (self.data_block + u64::from(self.data_blocks)) * BLOCK
    }

    /// The form of an inode of so many bytes.
    pub(super) fn form(&self, size: u64) -> Form {
        Form::of(size, self.owner)
    }

    pub(super) fn entries(&self) -> &'t [Entry] {
        self.tree.entries()
    }

    /// The number by which directories name an inode.
    pub(super) fn slot(&self, index: u32) -> u64 {
        self.slots[index as usize].into()
    }

    /// Directories and long symlinks, in index order.
    pub(super) fn stored(&self) -> &[Stored] {
        &self.stored
    }

    /// The blocks of a directory, each with the names in it and the indices they stand for; `.` and `..` have none.
    pub(super) fn directory_blocks(&self, index: u32) -> impl Iterator<Item = Vec<(&'t [u8], Option<u32>)>> + use<'t> {
        let entries = self.tree.entries();
        let children = self.tree.children(index.checked_sub(1).map(|at| at as usize));
        let children = children.map(|at| at as u32 + 1).peekable();
        let prefix = entry(entries, index).map_or(0, |directory| directory.path.as_bytes().len() + 1);
        let mut names = Names { entries, prefix, children, dots: &[b".", b".."] }.peekable();
        std::iter::from_fn(move || {
            let (mut block, mut room) = (Vec::new(), BLOCK);
            while let Some(name) = names.next_if(|(name, _)| dirent_len(name) <= room) {
                room -= dirent_len(name.0);
                block.push(name);
            }
            Some(block).filter(|block| !block.is_empty())
        })
    }

    /// Says how long the data of each directory and long symlink is.
    fn measure(&self) -> Vec<Stored> {
        let entries = self.tree.entries();
        let mut stored: Vec<Stored> = Vec::new();
        // Of directories that were seen as somebody's child and not reached yet.
        let mut parents: HashMap<u32, u32> = HashMap::from([(0, 0)]);
        let mut block = 0;
        for index in 0..=entries.len() as u32 {
            let mut data = Stored { index, block, ..Stored::default() };
            let tail = match entry(entries, index).map(|entry| &entry.kind) {
                None | Some(EntryKind::Dir { .. }) => {
                    data.parent = parents.remove(&index).expect("a directory is somebody's child");
                    let (mut full, mut used) = (0, 0);
                    for names in self.directory_blocks(index) {
                        (full, used) = (full + 1, names.iter().map(|(name, _)| dirent_len(name)).sum());
                        let below = names.iter().filter_map(|(_, child)| *child);
                        for directory in below.filter(|&child| is_directory(entries, child)) {
                            parents.insert(directory, index);
                            data.directories += 1;
                        }
                    }
                    // At least `.` and `..` are there.
                    data.blocks = full - 1;
                    data.size = u64::from(data.blocks) * BLOCK + used;
                    used
                }
                Some(EntryKind::Symlink { target }) => {
                    data.size = target.as_bytes().len() as u64;
                    data.size
                }
                Some(EntryKind::File { .. }) => continue,
            };
            // A tail shares the block of its inode.
            if tail + self.form(data.size).len() > BLOCK {
                data.blocks += 1;
            }
            block += data.blocks;
            if data.blocks > 0 || is_directory(entries, index) {
                stored.push(data);
            }
        }
        stored
    }

    /// Gives every inode its place, in order.
    fn place(&mut self, start: u64) -> io::Result<()> {
        let entries = self.tree.entries();
        let mut at = start.next_multiple_of(SLOT);
        let mut stored = self.stored.iter().peekable();
        for index in 0..=entries.len() as u32 {
            let data = stored.next_if(|stored| stored.index == index);
            let (size, behind, is_tail) = match entry(entries, index).map(|entry| &entry.kind) {
                Some(&EntryKind::File { size, .. }) => (size, CHUNK_INDEX * chunks(size), false),
                Some(EntryKind::Symlink { target }) if data.is_none() => {
                    (target.as_bytes().len() as u64, target.as_bytes().len() as u64, true)
                }
                _ => data.map_or((0, 0, true), |data| (data.size, data.tail(), true)),
            };
            let len = self.form(size).len() + behind;
            // Of chunk indices each is read alone, so their list may cross blocks; a tail may not.
            if is_tail && behind > 0 && at % BLOCK + len > BLOCK {
                at = at.next_multiple_of(BLOCK);
            }
            self.slots.push(u32::try_from(at / SLOT).map_err(io::Error::other)?);
            at += len.next_multiple_of(SLOT);
        }
        self.data_block = at.div_ceil(BLOCK);
        Ok(())
    }
}

fn dirent_len(name: &[u8]) -> u64 {
    DIRENT + name.len() as u64
}

/// The entry of an index; none for the top directory.
pub(super) fn entry(entries: &[Entry], index: u32) -> Option<&Entry> {
    index.checked_sub(1).map(|at| &entries[at as usize])
}

pub(super) fn is_directory(entries: &[Entry], index: u32) -> bool {
    entry(entries, index).is_none_or(Entry::is_dir)
}

/// Pieces a file of `size` bytes has.
pub(super) const fn chunks(size: u64) -> u64 {
    size.div_ceil(drydock_storage::pack::CHUNK as u64)
}

/// The names in a directory with their indices, `.` and `..` (without one) among them, in byte order.
struct Names<'a, I: Iterator<Item = u32>> {
    entries: &'a [Entry],
    /// Bytes of the directory's own path and the slash.
    prefix: usize,
    children: std::iter::Peekable<I>,
    dots: &'static [&'static [u8]],
}

impl<'a, I: Iterator<Item = u32>> Iterator for Names<'a, I> {
    type Item = (&'a [u8], Option<u32>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = |index: u32| &self.entries[index as usize - 1].path.as_bytes()[self.prefix..];
        let next = self.children.peek().map(|&index| name(index));
        if let Some((&dot, rest)) = self.dots.split_first()
            && next.is_none_or(|next| dot < next)
        {
            self.dots = rest;
            return Some((dot, None));
        }
        self.children.next().map(|index| (name(index), Some(index)))
    }
}
