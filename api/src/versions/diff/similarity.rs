//! How alike two contents are, by git's measure (gitdiffcore(7), "diffcore-rename"): the bytes of the lines both have, to the bytes of the
//! longer one. A line counts as many times as it occurs; long lines are cut, so that one changed byte does not cost a whole file.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::{change::Similarity, lines::lines};

/// Longest piece of a line that is compared as a whole.
const PIECE: usize = 64;

/// The pieces of one content: their hashes, sorted, each with the bytes of all its occurrences.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: u64,
    hashes: Vec<(u64, u64)>,
}

impl Pieces {
    /// Of a text; `None` for what is none.
    pub(super) fn of(content: &[u8]) -> Option<Self> {
        if content.contains(&0) {
            return None;
        }
        let mut counted: HashMap<u64, u64> = HashMap::new();
        for piece in lines(content).flat_map(|line| line.chunks(PIECE)) {
            let mut hasher = DefaultHasher::new();
            piece.hash(&mut hasher);
            *counted.entry(hasher.finish()).or_default() += piece.len() as u64;
        }
        let mut hashes: Vec<(u64, u64)> = counted.into_iter().collect();
        hashes.sort_unstable();
        Some(Self { bytes: content.len() as u64, hashes })
    }

    pub(super) fn similarity(&self, other: &Self) -> Similarity {
        let (mut mine, mut theirs) = (self.hashes.as_slice(), other.hashes.as_slice());
        let mut common = 0;
        while let ([(a, count), rest_a @ ..], [(b, others), rest_b @ ..]) = (mine, theirs) {
            if a == b {
                common += count.min(others);
            }
            if a <= b {
                mine = rest_a;
            }
            if b <= a {
                theirs = rest_b;
            }
        }
        Similarity::of_parts(common, self.bytes.max(other.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(a: &str, b: &str) -> u8 {
        let pieces = |text: &str| Pieces::of(text.as_bytes()).unwrap();
        assert_eq!(pieces(a).similarity(&pieces(b)), pieces(b).similarity(&pieces(a)));
        pieces(a).similarity(&pieces(b)).percent()
    }

    #[test]
    fn bytes_of_common_lines_count() {
        assert_eq!(percent("a\nb\nc\nd\n", "a\nb\nc\nx\n"), 75);
        assert_eq!(percent("a\nb\n", "b\na\n"), 99, "only the same is 100");
        assert_eq!(percent("a\na\na\na\n", "a\nb\nb\nb\n"), 25, "as often as it occurs");
        assert_eq!(percent("a\n", "b\n"), 0);
        assert_eq!(percent("", ""), 0);
        let (long, other) = ("x".repeat(64) + &"y".repeat(64), "x".repeat(64) + &"z".repeat(64));
        assert_eq!(percent(&long, &other), 50);
        assert!(Pieces::of(b"a\0").is_none());
    }
}
