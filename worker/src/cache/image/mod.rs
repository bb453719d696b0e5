//! Images: the names, modes and links of a tree as one EROFS file system, whose contents lie in the cache's data files.
//!
//! An image holds metadata only, about 60 bytes an entry; each file's extents point into *extra devices*, which are data
//! files of this node. So a tree of any size is there with one mount, and no inode is made for it. The format is that of
//! Linux (`fs/erofs/erofs_fs.h`): 4 KiB blocks, compact inodes, chunk-based files of 4 MiB chunks, a device table. It is
//! made in two passes over the sorted tree: [`layout`] gives every inode its place, [`encode`] writes them in order, so
//! that memory is 8 bytes an entry whatever the tree.

mod encode;
mod layout;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    num::NonZeroU16,
};

use self::encode::Encoder;
pub(crate) use self::layout::Layout;

/// Bytes of a block of an image and of a data file.
pub(crate) const BLOCK: u64 = 4096;
/// Data files an image can point into.
pub(crate) const DEVICES_MAX: usize = 1024;

/// Where a piece of content lies: a data file of an image and a block in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// As images count them: device 0 is the image itself. Also keeps an `Option` of one at 8 bytes.
    device: NonZeroU16,
    /// First block there.
    pub(crate) block: u32,
}

impl Extent {
    /// `data` is an index into the image's data files, below [`DEVICES_MAX`].
    pub(crate) const fn new(data: u16, block: u32) -> Self {
        Self { device: NonZeroU16::MIN.saturating_add(data), block }
    }

    /// Index into the image's data files.
    pub(crate) fn data(self) -> usize {
        usize::from(self.device.get() - 1)
    }
}

/// Writes the image that was laid out for as many data files. `devices` are their lengths in blocks; `extents` are the places
/// of all pieces, 4 MiB each but the last of a file, in path order. Returns the bytes written, as many as [`Layout::bytes`].
pub(crate) fn write_image(
    out: &mut impl Write,
    layout: &Layout<'_>,
    devices: &[u32],
    extents: impl IntoIterator<Item = Extent>,
    now: u64,
) -> io::Result<u64> {
    Encoder::new(out, layout, now).image(devices, extents.into_iter())
}
