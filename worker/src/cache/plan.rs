//! What a tree needs: its pieces in order, which of them are missing here, and the requests that bring them. Pure.

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

/// All pieces of a manifest's files: in path order, a file's own in order.
pub(super) fn needs(manifest: &Manifest) -> impl Iterator<Item = Need> {
    manifest.iter().flat_map(move |(entry, location)| {
        let (size, blob) = match entry.kind {
            EntryKind::File { size, blob, .. } => (size, blob),
            _ => (0, Digest::from_bytes([0; 32])),
        };
        location.blocks().iter().enumerate().map(move |(at, &block)| match location {
            Location::Slice { offset, .. } => Need { digest: blob, block, offset: *offset, len: size as u32 },
            _ => {
                let digest = manifest.blocks()[block as usize].chunk.unwrap_or(blob);
                let len = (size - (at * CHUNK) as u64).min(CHUNK as u64);
                Need { digest, block, offset: 0, len: len as u32 }
            }
        })
    })
}

/// Missing pieces, each with the block of the new data file it gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// In order of their places, which is that of the blocks they come from.
    pub(super) pieces: Vec<(Need, u32)>,
    /// Blocks the data file has.
    pub(super) blocks: u32,
}

/// Gives each piece a place; the same content is placed once.
pub(super) fn place(mut missing: Vec<Need>) -> Placed {
    missing.sort_unstable_by_key(|need| (need.block, need.offset));
    let mut known = std::collections::HashSet::with_capacity(missing.len());
    let mut placed = Placed::default();
    for need in missing {
        if known.insert(need.digest) {
            placed.pieces.push((need, placed.blocks));
            placed.blocks += Piece::blocks(need.len);
        }
    }
    placed
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
pub(super) fn spans(blocks: &[Block], pieces: &[(Need, u32)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    for of_block in pieces.chunk_by(|a, b| a.0.block == b.0.block) {
        let Block { pack, info, .. } = blocks[of_block[0].0.block as usize];
        let (start, end) = (u64::from(info.offset), u64::from(info.offset) + u64::from(info.stored_len));
        let next = at + of_block.len();
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
            block(0, 0, 100 * KIB),
            block(0, 200 * KIB, 100 * KIB),
            block(0, 700 * KIB, 10),
            block(1, 0, 2048 * KIB),
            block(1, 2048 * KIB, 10),
        ];
        let needs = [
            need(0, 4, 0, 5),
            need(1, 0, 50, 5),
            need(2, 1, 0, 5),
            need(3, 0, 0, 5),
            need(4, 2, 0, 5),
            need(5, 3, 0, 5),
        ];
        let placed = place(needs.into());
        let spans = spans(&blocks, &placed.pieces);
        let shape: Vec<_> = spans.iter().map(|span| (span.pack, span.start / 1024, span.pieces.clone())).collect();
        assert_eq!(shape, [(0, 0, 0..3), (0, 700, 3..4), (1, 0, 4..5), (1, 2048, 5..6)]);
    }

    #[test]
    fn each_content_gets_one_place_on_whole_blocks() {
        let placed = place(vec![need(2, 1, 0, 4097), need(1, 0, 7, 1), need(2, 3, 0, 4097), need(3, 2, 0, 4096)]);
        let places: Vec<_> = placed.pieces.iter().map(|(need, at)| (need.block, *at)).collect();
        assert_eq!(places, [(0, 0), (1, 1), (2, 3)]);
        assert_eq!(placed.blocks, 4);
    }
}
