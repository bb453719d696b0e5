//! `ContentIndex`: finds contents and chunks by their hash, in lists of entries and blocks. Built when first asked.

use std::sync::OnceLock;

use drydock_domain::{Digest, Entry, EntryKind};

use super::{Block, Location};

/// Four bytes for each file and chunk, sorted by their hashes. The lists themselves are given with every question, and
/// must be the same ones every time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContentIndex {
    files: OnceLock<Box<[u32]>>,
    chunks: OnceLock<Box<[u32]>>,
}

impl ContentIndex {
    /// Where a file with this content lies; empty ones lie nowhere.
    pub(crate) fn file<'l>(&self, entries: &[Entry], locations: &'l [Location], blob: Digest) -> Option<&'l Location> {
        let key = |at: u32| match entries[at as usize].kind {
            EntryKind::File { blob, .. } if locations[at as usize] != Location::None => Some(blob),
            _ => None,
        };
        find(&self.files, entries.len(), key, blob).map(|at| &locations[at])
    }

    /// The index of a block that is this chunk.
    pub(crate) fn chunk(&self, blocks: &[Block], chunk: Digest) -> Option<usize> {
        find(&self.chunks, blocks.len(), |at| blocks[at as usize].chunk, chunk)
    }
}

/// Derived from the lists beside it, so that it makes no difference between two manifests.
impl PartialEq for ContentIndex {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ContentIndex {}

fn find(
    index: &OnceLock<Box<[u32]>>,
    len: usize,
    key: impl Fn(u32) -> Option<Digest>,
    wanted: Digest,
) -> Option<usize> {
    let sorted = index.get_or_init(|| {
        let len = u32::try_from(len).expect("limits keep counts below 2^32");
        // By the first bytes, which nearly always decide.
        let mut sorted: Vec<(u64, u32)> = (0..len).filter_map(|at| Some((prefix(&key(at)?), at))).collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| (key(a.1), a.1).cmp(&(key(b.1), b.1))));
        sorted.into_iter().map(|(_, at)| at).collect()
    });
    let at = sorted.partition_point(|&at| key(at) < Some(wanted));
    sorted.get(at).filter(|&&at| key(at) == Some(wanted)).map(|&at| at as usize)
}

/// Ordered as the digests are.
fn prefix(digest: &Digest) -> u64 {
    u64::from_be_bytes(digest.as_bytes()[..8].try_into().expect("eight bytes"))
}
