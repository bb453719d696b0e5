//! Contents inside a delta: gathered into one, or moved out of one into a pack of the bucket.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use drydock_domain::{Digest, Entry, EntryKind};

use super::{
    blobs::BlobWriter,
    compact::{Compacted, renumber},
};
use crate::{
    Manifest, StorageError,
    manifest::{Block, Location, PackRef},
};

/// Stores again, in a pack, what `locations` need of the blocks of `base` whose stored bytes `place` gives.
pub(super) fn move_out<'e>(
    base: &Manifest,
    blobs: &mut BlobWriter,
    entries: impl Iterator<Item = &'e Entry>,
    locations: &mut [Location],
    place: impl Fn(&Block) -> Option<Result<Bytes, StorageError>>,
) -> Result<(), StorageError> {
    let mut moved = HashMap::new();
    for (number, Moved { stored, contents }) in needed(base, entries, locations, place)? {
        let block = base.blocks()[number as usize];
        moved.insert(number, blobs.put_block(&block, &stored, contents)?);
    }
    renumber(locations, &moved);
    Ok(())
}

/// A block to be stored again.
struct Moved {
    stored: Bytes,
    /// Offset, length and hash of each content needed of it.
    contents: Vec<(u32, u32, Digest)>,
}

fn needed<'e>(
    base: &Manifest,
    entries: impl Iterator<Item = &'e Entry>,
    locations: &[Location],
    place: impl Fn(&Block) -> Option<Result<Bytes, StorageError>>,
) -> Result<BTreeMap<u32, Moved>, StorageError> {
    let mut needed: BTreeMap<u32, Moved> = BTreeMap::new();
    for (entry, location) in entries.zip(locations) {
        for &number in location.blocks() {
            // Blocks of this write come after those of the base.
            let Some(block) = base.blocks().get(number as usize) else {
                continue;
            };
            let Some(stored) = place(block) else {
                continue;
            };
            let content = match (location, &entry.kind, block.chunk) {
                (_, _, Some(chunk)) => (0, block.info.raw_len, chunk),
                (Location::Slice { offset, .. }, EntryKind::File { size, blob, .. }, None) => {
                    (*offset, *size as u32, *blob)
                }
                _ => continue,
            };
            let moved = needed.entry(number).or_insert(Moved { stored: stored?, contents: Vec::new() });
            moved.contents.push(content);
        }
    }
    for moved in needed.values_mut() {
        moved.contents.sort_unstable();
        moved.contents.dedup();
    }
    Ok(needed)
}

/// The bytes of a block that lies in the delta of `base`; `None` for one in a pack of the bucket.
pub(super) fn stored(base: &Manifest, block: &Block) -> Option<Result<Bytes, StorageError>> {
    let start = u64::from(block.info.offset);
    base.inline(block.pack, start..start + u64::from(block.info.stored_len))
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
            let stored = stored(base, &Block { pack: was, ..*block }).expect("the pack is inline");
            inline.extend_from_slice(&stored?);
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
