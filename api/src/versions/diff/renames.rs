//! Renames: a path that is gone and a new one whose contents are the same, or alike.
//!
//! The same content is found by its hash, whatever the number of files. What is alike has to be read and compared, each with each: that
//! is done for text files only, and not at all where there are too many of them, which is said in the answer. An empty file is like
//! no other. Every path is part of one rename at most.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use drydock_domain::{Entry, EntryKind, RelativePath};

use super::{
    change::{Change, Similarity},
    similarity::Pieces,
};

/// Files gone, and as many new ones, that are compared with each other at most.
pub(crate) const MAX_RENAME_FILES: usize = 200;
/// Bytes of these files together.
pub(crate) const MAX_RENAME_BYTES: u64 = 16 << 20;

/// What the same content is told by.
#[derive(PartialEq, Eq, Hash)]
enum Identity<'a> {
    Blob(&'a [u8; 32]),
    Target(&'a [u8]),
}

fn identity(entry: &Entry) -> Option<Identity<'_>> {
    match &entry.kind {
        EntryKind::File { size: 0, .. } | EntryKind::Dir { .. } => None,
        EntryKind::File { blob, .. } => Some(Identity::Blob(blob.as_bytes())),
        EntryKind::Symlink { target } => Some(Identity::Target(target.as_bytes())),
    }
}

/// Pairs what is gone with what is new and the same. Where several are, the one of the same name is taken, else the first.
pub(super) fn same(changes: Vec<Change>) -> Vec<Change> {
    let mut gone: HashMap<Identity<'_>, Vec<&Entry>> = HashMap::new();
    for entry in changes.iter().filter_map(deleted) {
        if let Some(identity) = identity(entry) {
            gone.entry(identity).or_default().push(entry);
        }
    }
    let mut pairs = Pairs::default();
    for new in changes.iter().filter_map(created) {
        let Some(candidates) =
            identity(new).and_then(|identity| gone.get_mut(&identity)).filter(|left| !left.is_empty())
        else {
            continue;
        };
        let named = candidates.iter().position(|old| old.path.file_name() == new.path.file_name());
        let old = candidates.remove(named.unwrap_or(0));
        pairs.add(old, new, Similarity::SAME);
    }
    drop(gone);
    pairs.merge(changes)
}

/// Files whose contents are to be compared: those gone, and those new.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Candidates {
    pub(super) gone: Vec<Entry>,
    pub(super) new: Vec<Entry>,
}

/// There are more files that could be renames than are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The files of at most `largest` bytes that have one of a like size on the other side.
pub(super) fn candidates(changes: &[Change], largest: u64) -> Result<Candidates, TooMany> {
    let small = |entry: &&Entry| matches!(entry.kind, EntryKind::File { size, .. } if (1..=largest).contains(&size));
    let gone: Vec<&Entry> = changes.iter().filter_map(deleted).filter(small).collect();
    let new: Vec<&Entry> = changes.iter().filter_map(created).filter(small).collect();
    let with_match = |files: &[&Entry], others: &[&Entry]| -> Vec<Entry> {
        let mut sizes: Vec<u64> = others.iter().map(|entry| entry.size()).collect();
        sizes.sort_unstable();
        files.iter().filter(|entry| has_like(&sizes, entry.size())).map(|entry| (*entry).clone()).collect()
    };
    let candidates = Candidates { gone: with_match(&gone, &new), new: with_match(&new, &gone) };
    let bytes: u64 = candidates.gone.iter().chain(&candidates.new).map(Entry::size).sum();
    let most = candidates.gone.len().max(candidates.new.len());
    if most > MAX_RENAME_FILES || bytes > MAX_RENAME_BYTES { Err(TooMany) } else { Ok(candidates) }
}

/// Whether a size is among `sizes` with which two contents could be alike enough.
fn has_like(sizes: &[u64], size: u64) -> bool {
    let least = size.div_ceil(2);
    let first = sizes.partition_point(|other| *other < least);
    sizes.get(first).is_some_and(|other| *other <= size.saturating_mul(2))
}

/// Pairs what is alike, the most alike first; of those equally alike, the ones of the same name.
pub(super) fn alike(changes: Vec<Change>, gone: &[(Entry, Pieces)], new: &[(Entry, Pieces)]) -> Vec<Change> {
    let mut scored = Vec::new();
    for (at, (old, before)) in gone.iter().enumerate() {
        for (to, (is, after)) in new.iter().enumerate() {
            let similarity = before.similarity(after);
            if similarity >= Similarity::LEAST {
                scored.push((similarity, old.path.file_name() == is.path.file_name(), at, to));
            }
        }
    }
    scored.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then((a.2, a.3).cmp(&(b.2, b.3))));
    let mut pairs = Pairs::default();
    for (similarity, _, at, to) in scored {
        pairs.add(&gone[at].0, &new[to].0, similarity);
    }
    pairs.merge(changes)
}

/// Renames found so far, by the new path.
#[derive(Default)]
struct Pairs {
    taken: BTreeSet<RelativePath>,
    found: BTreeMap<RelativePath, Change>,
}

impl Pairs {
    fn add(&mut self, old: &Entry, new: &Entry, similarity: Similarity) {
        if !self.taken.contains(&old.path) && !self.found.contains_key(&new.path) {
            self.taken.insert(old.path.clone());
            let renamed = Change::Renamed { old: old.clone(), new: new.clone(), similarity };
            self.found.insert(new.path.clone(), renamed);
        }
    }

    /// The changes with a rename in place of each pair.
    fn merge(mut self, changes: Vec<Change>) -> Vec<Change> {
        let merged = changes.into_iter().filter_map(|change| match &change {
            Change::Created(new) => Some(self.found.remove(&new.path).unwrap_or(change)),
            Change::Deleted(old) if self.taken.contains(&old.path) => None,
            _ => Some(change),
        });
        merged.collect()
    }
}

const fn deleted(change: &Change) -> Option<&Entry> {
    if let Change::Deleted(entry) = change { Some(entry) } else { None }
}

const fn created(change: &Change) -> Option<&Entry> {
    if let Change::Created(entry) = change { Some(entry) } else { None }
}

#[cfg(test)]
mod tests {
    use drydock_domain::{Digest, Mode};

    use super::*;

    fn file(path: &str, content: &str) -> Entry {
        let kind = EntryKind::File {
            size: content.len() as u64,
            mode: Mode::new(0o644),
            blob: Digest::of(content.as_bytes()),
        };
        Entry { path: path.parse().unwrap(), kind }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let tell = |change: &Change| match change {
            Change::Renamed { old, new, similarity } => format!("{} > {} {}", old.path, new.path, similarity.percent()),
            other => format!("{} {}", other.word(), other.path()),
        };
        changes.iter().map(tell).collect()
    }

    #[test]
    fn the_same_content_is_one_rename_each() {
        let changes = vec![
            Change::Deleted(file("a/x", "1")),
            Change::Deleted(file("b/y", "1")),
            Change::Created(file("c/y", "1")),
            Change::Created(file("d/x", "1")),
            Change::Created(file("e/x", "1")),
            Change::Deleted(file("f", "")),
            Change::Created(file("g", "")),
        ];
        let expected = ["b/y > c/y 100", "a/x > d/x 100", "created e/x", "deleted f", "created g"];
        assert_eq!(told(&same(changes)), expected);
    }

    #[test]
    fn what_is_most_alike_is_paired_first() {
        let texts = [("a", "1\n2\n3\n4\n"), ("b", "1\n2\n3\nx\n")];
        let news = [("c", "1\n2\n3\nx\n5\n"), ("d", "1\n2\ny\ny\n"), ("e", "q\nr\ns\nt\n")];
        let changes = texts.iter().map(|(path, text)| Change::Deleted(file(path, text)));
        let changes = changes.chain(news.iter().map(|(path, text)| Change::Created(file(path, text))));
        let pieces = |files: &[(&str, &str)]| -> Vec<(Entry, Pieces)> {
            files.iter().map(|(path, text)| (file(path, text), Pieces::of(text.as_bytes()).unwrap())).collect()
        };
        let found = alike(changes.collect(), &pieces(&texts), &pieces(&news));
        assert_eq!(told(&found), ["b > c 80", "a > d 50", "created e"]);
    }

    #[test]
    fn only_files_of_a_like_size_are_candidates_and_only_so_many() {
        let text = |n: usize| "x".repeat(n);
        let changes = vec![
            Change::Deleted(file("a", &text(10))),
            Change::Deleted(file("big", &text(1000))),
            Change::Created(file("b", &text(20))),
            Change::Created(file("c", &text(21))),
            Change::Created(file("huge", &text(600))),
        ];
        let found = candidates(&changes, 500).unwrap();
        assert_eq!((found.gone.len(), found.new.len()), (1, 1));
        assert_eq!(found.new[0].path, "b".parse().unwrap());
        let many = |count: usize| -> Vec<Change> {
            let gone = (0..count).map(|n| Change::Deleted(file(&format!("old{n}"), "x")));
            gone.chain([Change::Created(file("new", "y"))]).collect()
        };
        assert!(candidates(&many(MAX_RENAME_FILES), 10).is_ok());
        assert_eq!(candidates(&many(MAX_RENAME_FILES + 1), 10), Err(TooMany));
    }
}
