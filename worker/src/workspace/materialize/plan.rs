//! The plan of a copy: which byte ranges of which packs to fetch, and which files each gives. Pure.

use drydock_storage::{
    Manifest,
    manifest::{Block, Location},
};

/// Stored bytes fetched by one request at most, unless a single block is longer.
const SPAN_MAX: u64 = 4 << 20;
/// Unneeded bytes between two needed blocks that are fetched rather than skipped: a request costs more.
const GAP_MAX: u64 = 256 << 10;

/// Work of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A range of a pack with its blocks.
    Span(Span),
    /// The entry with this index: a file of several chunks, copied in order by itself.
    Large(usize),
}

/// Consecutive needed blocks of one pack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Index into the manifest's packs.
    pub(super) pack: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) blocks: Vec<BlockFiles>,
}

/// A block and the entries it holds, in path order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BlockFiles {
    pub(super) block: u32,
    pub(super) entries: Vec<usize>,
}

pub(super) fn plan(manifest: &Manifest) -> Vec<Job> {
    let mut placed: Vec<(u32, usize)> = Vec::new();
    let mut large = Vec::new();
    for (index, location) in manifest.locations().iter().enumerate() {
        match location.blocks() {
            [] => {}
            [block] => placed.push((*block, index)),
            _ => large.push(Job::Large(index)),
        }
    }
    debug_assert!(
        manifest.locations().iter().all(|location| *location == Location::None || !location.blocks().is_empty())
    );
    // The big ones first: they take longest.
    large.extend(spans(manifest.blocks(), placed).into_iter().map(Job::Span));
    large
}

fn spans(blocks: &[Block], mut placed: Vec<(u32, usize)>) -> Vec<Span> {
    placed.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for files in placed.chunk_by(|a, b| a.0 == b.0) {
        let number = files[0].0;
        let Block { pack, info, .. } = blocks[number as usize];
        let (start, end) = (u64::from(info.offset), u64::from(info.offset) + u64::from(info.stored_len));
        let files = BlockFiles { block: number, entries: files.iter().map(|file| file.1).collect() };
        match spans.last_mut() {
            Some(span) if span.pack == pack && start - span.end <= GAP_MAX && end - span.start <= SPAN_MAX => {
                span.end = end;
                span.blocks.push(files);
            }
            _ => spans.push(Span { pack, start, end, blocks: vec![files] }),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use drydock_storage::pack::{BlockInfo, Codec};

    use super::*;

    fn block(pack: u32, offset: u32, stored_len: u32) -> Block {
        let info = BlockInfo { offset, stored_len, raw_len: stored_len, crc32c: 0, codec: Codec::Raw };
        Block { pack, info, chunk: None }
    }

    #[test]
    fn near_blocks_of_a_pack_become_one_request() {
        let kib = 1 << 10;
        let blocks = [
            block(0, 0, 100 * kib),
            block(0, 200 * kib, 100 * kib),
            block(0, 700 * kib, 10),
            block(1, 0, 4096 * kib),
            block(1, 4096 * kib, 10),
        ];
        let spans = spans(&blocks, vec![(4, 0), (0, 5), (1, 2), (0, 1), (2, 3), (3, 4)]);
        let shape: Vec<_> = spans.iter().map(|span| (span.pack, span.start / 1024, span.blocks.len())).collect();
        assert_eq!(shape, [(0, 0, 2), (0, 700, 1), (1, 0, 1), (1, 4096, 1)]);
        assert_eq!(spans[0].blocks[0].entries, [1, 5]);
    }
}
