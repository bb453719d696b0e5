//! Writes a delta: header, and columns compressed as one zstd frame.

use std::io;

use super::{MAGIC, Parts, VERSION};
use crate::columns::compress;

/// The encoded delta, and the length of its body before compression.
pub(super) fn encode(parts: &Parts) -> io::Result<(Vec<u8>, u64)> {
    let header = [&MAGIC[..], &VERSION.to_le_bytes(), parts.base.as_bytes()].concat();
    compress(header, true, |body| {
        body.digest(parts.tree_id)?;
        for count in [parts.packs.len(), parts.blocks.len(), parts.removed.len(), parts.put.len()] {
            body.count(count)?;
        }
        for count in [parts.counts.entries, parts.counts.files, parts.counts.bytes] {
            body.u64(count)?;
        }
        for pack in &parts.packs {
            body.pack(pack)?;
            body.raw(&[u8::from(pack.inline)])?;
        }
        parts.blocks.iter().try_for_each(|block| body.block(block))?;
        body.paths(&parts.removed)?;
        body.entries(&parts.put, &parts.locations)?;
        body.raw(&parts.inline)
    })
}
