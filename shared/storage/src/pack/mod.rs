//! Packs: immutable objects of compressed blocks that hold the contents of files. The layout is in this crate's FORMATS.md.
//!
//! Owns the bytes of one pack: blocks, trailer index, footer. Which file lies where is the manifest's knowledge; the
//! trailer says it again so that a pack can be understood alone.

mod block;
mod index;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use block::{BLOCK_LEN, Compressor, encode_block};
pub use block::{BlockInfo, Codec};
pub use index::{IndexEntry, PackIndex};
pub(crate) use writer::{PackWriter, SealedPack};

/// Files up to this size share solid blocks, and no solid block holds more (raw bytes).
pub const SOLID_MAX: usize = 256 << 10;
/// Bigger files are cut into chunks of this size, each a block of its own (raw bytes).
pub const CHUNK: usize = 4 << 20;
/// A pack is finished once it holds this much (stored bytes).
pub const PACK_TARGET: u64 = 32 << 20;
/// No pack is longer: one PUT always suffices, and offsets fit in 32 bits.
pub const PACK_MAX: u64 = 64 << 20;
