//! Contents inside a delta: gathered into one, or moved out of one into a pack of the bucket.

use std::collections::{BTreeMap, HashMap};

use drydock_domain::{Digest, Entry, EntryKind};

use super::{
    blobs::BlobWriter,
    compact::{Compacted, renumber},
};
use crate::{
    Manifest, StorageError,
    manifest::{Block, Location, PackRef},
};

/// Stores again, in a pack, what `locations` need of contents that lie in the delta of `base`.
pub(super) fn move_out(
    base: &Manifest,
    blobs: &mut BlobWriter,
    entries: &[Entry],
    locations: &mut [Location],
) -> Result<(), StorageError> {
    let mut moved = HashMap::new();
    for (number, contents) in needed(base, entries, locations) {
        let block = base.blocks()[number as usize];
        let stored = stored(base, &block)?;
        moved.insert(number, blobs.put_block(&block, &stored, contents)?);
    }
    renumber(locations, &moved);
    Ok(())
}

/// Offset, length and hash of each content needed of each block in the delta.
fn needed(base: &Manifest, entries: &[Entry], locations: &[Location]) -> BTreeMap<u32, Vec<(u32, u32, Digest)>> {
    let mut needed: BTreeMap<u32, Vec<(u32, u32, Digest)>> = BTreeMap::new();
    if base.delta().is_none_or(|delta| delta.inline().is_empty()) {
        return needed;
    }
    for (entry, location) in entries.iter().zip(locations) {
        for &number in location.blocks() {
            // Blocks of this write come after those of the base.
            let Some(block) = base.blocks().get(number as usize) else {
                continue;
            };
            if !base.packs()[block.pack as usize].inline {
                continue;
            }
            let content = match (location, &entry.kind, block.chunk) {
                (_, _, Some(chunk)) => (0, block.info.raw_len, chunk),
                (Location::Slice { offset, .. }, EntryKind::File { size, blob, .. }, None) => {
                    (*offset, *size as u32, *blob)
                }
                _ => continue,
            };
            needed.entry(number).or_default().push(content);
        }
    }
    for contents in needed.values_mut() {
        contents.sort_unstable();
        contents.dedup();
    }
    needed
}

/// The bytes of a block that lies in the delta of `base`.
fn stored(base: &Manifest, block: &Block) -> Result<bytes::Bytes, StorageError> {
    let start = u64::from(block.info.offset);
    let stored = base.inline(block.pack, start..start + u64::from(block.info.stored_len));
    stored.expect("only called for inline packs")
}

/// Joins the inline packs at the end, the old one and the one `held` in memory, into one; returns its bytes.
pub(super) fn gather(
    base: &Manifest,
    held: &[u8],
    left: &mut Compacted,
    first_pack: usize,
) -> Result<Vec<u8>, StorageError> {
    let Some(first) = left.packs.iter().position(|pack| pack.inline) else {
        return Ok(Vec::new());
    };
    let mut inline = Vec::new();
    for block in left.blocks.iter_mut().filter(|block| block.pack as usize >= first_pack + first) {
        let was = left.were[block.pack as usize - first_pack];
        let start = inline.len();
        if (was as usize) < base.packs().len() {
            inline.extend_from_slice(&stored(base, &Block { pack: was, ..*block })?);
        } else {
            let at = block.info.offset as usize;
            inline.extend_from_slice(&held[at..at + block.info.stored_len as usize]);
        }
        block.pack = (first_pack + first) as u32;
        block.info.offset = start as u32;
    }
    left.packs.truncate(first);
    left.were.truncate(first);
    left.packs.push(PackRef { id: Digest::of(&inline), bytes: inline.len() as u64, inline: true });
    Ok(inline)
}
