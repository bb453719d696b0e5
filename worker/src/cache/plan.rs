//! What a tree needs: its pieces in order, which of them are missing here, and the requests that bring them. Pure.
//!
//! Lists are as long as the tree: they name pieces by their places in the manifest, 8 bytes each, and look the rest up there.

use std::collections::{HashMap, hash_map};

use drydock_domain::{Digest, EntryKind};
use drydock_storage::{
    Manifest,
    manifest::{Block, Location},
    pack::CHUNK,
};

use super::data::Piece;

/// Stored bytes fetched by one request at most, unless a single block is longer.
const SPAN_MAX: u64 = 2 << 20;
/// Unneeded bytes between two needed blocks that are fetched rather than skipped: a request costs more.
const GAP_MAX: u64 = 256 << 10;

/// A piece of a file, by its place in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Index into the manifest's entries.
    entry: u32,
    /// Which of the file's blocks.
    number: u32,
}

/// A piece of a file and where storage has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) digest: Digest,
    /// Index into the manifest's blocks.
    pub(super) block: u32,
    /// First byte in the decoded block.
    pub(super) offset: u32,
    /// Bytes; never 0.
    pub(super) len: u32,
}

impl Part {
    /// All pieces of a manifest's files: in path order, a file's own in order.
    pub(super) fn all(manifest: &Manifest) -> impl Iterator<Item = Self> {
        (0..).zip(manifest.locations()).flat_map(|(entry, location)| {
            let blocks = location.blocks().len() as u32;
            (0..blocks).map(move |number| Self { entry, number })
        })
    }

    /// What it is, in the manifest it is a part of.
    pub(super) fn need(self, manifest: &Manifest) -> Need {
        let location = &manifest.locations()[self.entry as usize];
        let block = location.blocks()[self.number as usize];
        let EntryKind::File { size, blob, .. } = manifest.tree().entries()[self.entry as usize].kind else {
            unreachable!("only files lie in blocks")
        };
        match location {
            Location::Slice { offset, .. } => Need { digest: blob, block, offset: *offset, len: size as u32 },
            _ => {
                let digest = manifest.blocks()[block as usize].chunk.unwrap_or(blob);
                let len = (size - u64::from(self.number) * CHUNK as u64).min(CHUNK as u64);
                Need { digest, block, offset: 0, len: len as u32 }
            }
        }
    }

    fn block(self, manifest: &Manifest) -> u32 {
        manifest.locations()[self.entry as usize].blocks()[self.number as usize]
    }
}

/// A missing piece and the block of the new data file it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed<P = Part> {
    pub(super) part: P,
    pub(super) at: u32,
}

impl Placed {
    /// As the data file has it.
    pub(super) fn whole(&self, manifest: &Manifest) -> Piece {
        let Need { digest, len, .. } = self.part.need(manifest);
        Piece { digest, block: self.at, len }
    }
}

/// Missing pieces with their places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<P = Part> {
    /// In order of their places, which is that of the blocks they come from.
    pub(super) pieces: Vec<Placed<P>>,
    /// Blocks the data file has.
    pub(super) blocks: u32,
}

impl<P: Copy> Plan<P> {
    /// Gives each piece a place; the same content is placed once.
    pub(super) fn of(mut missing: Vec<P>, need: impl Fn(P) -> Need) -> Self {
        missing.sort_unstable_by_key(|&part| {
            let Need { block, offset, .. } = need(part);
            (block, offset)
        });
        // By the first bytes of the hashes; contents that share those are told apart by the rest.
        let mut known: HashMap<u64, P> = HashMap::with_capacity(missing.len());
        let mut plan = Self { pieces: Vec::with_capacity(missing.len()), blocks: 0 };
        for part in missing {
            let Need { digest, len, .. } = need(part);
            match known.entry(prefix(&digest)) {
                hash_map::Entry::Occupied(same) if need(*same.get()).digest == digest => continue,
                hash_map::Entry::Occupied(_) => {}
                hash_map::Entry::Vacant(new) => _ = new.insert(part),
            }
            plan.pieces.push(Placed { part, at: plan.blocks });
            plan.blocks += Piece::blocks(len);
        }
        plan
    }
}

fn prefix(digest: &Digest) -> u64 {
    digest.as_bytes().iter().take(8).fold(0, |prefix, &byte| prefix << 8 | u64::from(byte))
}

/// The pieces that come from one block together, block after block.
pub(super) fn by_block<'p>(manifest: &'p Manifest, pieces: &'p [Placed]) -> impl Iterator<Item = (u32, &'p [Placed])> {
    let same = |a: &Placed, b: &Placed| a.part.block(manifest) == b.part.block(manifest);
    pieces.chunk_by(same).map(|pieces| (pieces[0].part.block(manifest), pieces))
}

/// Work of one request: consecutive needed blocks of one pack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Index into the manifest's packs.
    pub(super) pack: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    /// The pieces it brings.
    pub(super) pieces: std::ops::Range<usize>,
}

/// Few requests that bring all of `pieces`.
pub(super) fn spans(manifest: &Manifest, pieces: &[Placed]) -> Vec<Span> {
    let lens = by_block(manifest, pieces).map(|(block, pieces)| (manifest.blocks()[block as usize], pieces.len()));
    join(lens)
}

/// Of blocks in order, each with the number of pieces it brings.
fn join(blocks: impl Iterator<Item = (Block, usize)>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    for (Block { pack, info, .. }, pieces) in blocks {
        let (start, end) = (u64::from(info.offset), u64::from(info.offset) + u64::from(info.stored_len));
        let next = at + pieces;
        match spans.last_mut() {
            // Blocks of a merged manifest are not sorted by place beyond their pack's own.
            Some(span)
                if span.pack == pack
                    && span.end <= start
                    && start - span.end <= GAP_MAX
                    && end - span.start <= SPAN_MAX =>
            {
                span.end = end;
                span.pieces.end = next;
            }
            _ => spans.push(Span { pack, start, end, pieces: at..next }),
        }
        at = next;
    }
    spans
}

#[cfg(test)]
mod tests {
    use drydock_storage::pack::{BlockInfo, Codec};

    use super::*;

    const KIB: u32 = 1 << 10;

    fn block(pack: u32, offset: u32, stored_len: u32) -> Block {
        let info = BlockInfo { offset, stored_len, raw_len: stored_len, crc32c: 0, codec: Codec::Raw };
        Block { pack, info, chunk: None }
    }

    fn need(name: u8, block: u32, offset: u32, len: u32) -> Need {
        Need { digest: Digest::of(&[name]), block, offset, len }
    }

    #[test]
    fn near_blocks_of_a_pack_become_one_request() {
        let blocks = [
            (block(0, 0, 100 * KIB), 1),
            (block(0, 200 * KIB, 100 * KIB), 2),
            (block(0, 700 * KIB, 10), 1),
            (block(1, 0, 2048 * KIB), 1),
            (block(1, 2048 * KIB, 10), 1),
        ];
        let spans = join(blocks.into_iter());
        let shape: Vec<_> = spans.iter().map(|span| (span.pack, span.start / 1024, span.pieces.clone())).collect();
        assert_eq!(shape, [(0, 0, 0..3), (0, 700, 3..4), (1, 0, 4..5), (1, 2048, 5..6)]);
    }

    #[test]
    fn each_content_gets_one_place_on_whole_blocks() {
        let missing = vec![need(2, 1, 0, 4097), need(1, 0, 7, 1), need(2, 3, 0, 4097), need(3, 2, 0, 4096)];
        let plan = Plan::of(missing, |need| need);
        let places: Vec<_> = plan.pieces.iter().map(|piece| (piece.part.block, piece.at)).collect();
        assert_eq!(places, [(0, 0), (1, 1), (2, 3)]);
        assert_eq!(plan.blocks, 4);
    }

    #[test]
    fn contents_whose_hashes_begin_alike_have_places_of_their_own() {
        let digest = |last| Digest::from_bytes([[7; 31].as_slice(), &[last]].concat().try_into().unwrap());
        let missing = [1, 2, 1].map(|last| Need { digest: digest(last), ..need(0, last.into(), 0, 1) });
        assert_eq!(Plan::of(missing.into(), |need| need).pieces.len(), 2);
    }
}
