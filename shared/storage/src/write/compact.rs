//! Which blocks and packs a tree really needs.

use std::collections::HashMap;

use crate::{
    columns::Numbered,
    manifest::{Block, Location, PackRef},
};

/// What is left, in order of pack and offset.
pub(super) struct Compacted {
    pub(super) blocks: Vec<Block>,
    pub(super) packs: Vec<PackRef>,
    /// The numbers the packs had before.
    pub(super) were: Vec<u32>,
}

/// How many blocks and packs, the first ones, stay as they are and are not part of the result: those of the base object
/// of a delta.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) blocks: usize,
    pub(super) packs: usize,
}

/// Drops blocks and packs that no location needs, sorts the blocks by place and numbers them anew, those after the kept
/// ones.
pub(super) fn compact(
    locations: &mut [Location],
    blocks: Numbered<'_, Block>,
    packs: Numbered<'_, PackRef>,
    kept: Kept,
) -> Compacted {
    let block = |number| *blocks.get(number).expect("locations hold numbers of blocks");
    let mut needed: Vec<u32> = locations.iter().flat_map(Location::blocks).copied().collect();
    needed.retain(|&number| number as usize >= kept.blocks);
    needed.sort_unstable();
    needed.dedup();
    needed.sort_unstable_by_key(|&number| (block(number).pack, block(number).info.offset));
    let mut left = Compacted { blocks: Vec::with_capacity(needed.len()), packs: Vec::new(), were: Vec::new() };
    let mut renumbered = HashMap::with_capacity(needed.len());
    for old in needed {
        let mut block = block(old);
        if left.were.last() != Some(&block.pack) {
            left.were.push(block.pack);
            left.packs.push(*packs.get(block.pack).expect("blocks hold numbers of packs"));
        }
        block.pack = (kept.packs + left.packs.len() - 1) as u32;
        renumbered.insert(old, (kept.blocks + left.blocks.len()) as u32);
        left.blocks.push(block);
    }
    renumber(locations, &renumbered);
    left
}

/// Replaces numbers of blocks; those not in the map stay.
pub(super) fn renumber(locations: &mut [Location], renumbered: &HashMap<u32, u32>) {
    let replace = |block: &mut u32| *block = renumbered.get(block).copied().unwrap_or(*block);
    for location in locations {
        match location {
            Location::None => {}
            Location::Slice { block, .. } => replace(block),
            Location::Chunks(blocks) => blocks.iter_mut().for_each(replace),
        }
    }
}
