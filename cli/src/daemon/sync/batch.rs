//! What is to go up, in parts: what is too much for one request, or refused as one, is not all lost.

use std::{collections::HashMap, path::PathBuf};

use super::{index::Seen, plan::Plan};
use crate::archive::Known;

/// Bytes of files in one request, unless it is one file.
const BYTES: u64 = 256 << 20;
/// Paths in one request.
const PATHS: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Paths to remove; before anything is put.
    pub(crate) removals: Vec<String>,
    /// Paths to put, in order.
    pub(crate) puts: Vec<PathBuf>,
}

impl Batch {
    /// A plan in requests, in order: what goes is in the first.
    pub(crate) fn all_of(plan: &Plan, seen: &HashMap<String, Seen>) -> Vec<Self> {
        let mut batches = vec![Self { removals: plan.removals.clone(), puts: Vec::new() }];
        let mut bytes = 0;
        for path in &plan.puts {
            let size = match path.to_str().and_then(|path| seen.get(path)).map(|seen| &seen.known) {
                Some(Known::File { size, .. }) => *size,
                _ => 0,
            };
            let is_full = |batch: &Self| batch.puts.len() >= PATHS || !batch.puts.is_empty() && bytes + size > BYTES;
            if batches.last().is_none_or(is_full) {
                batches.push(Self::default());
                bytes = 0;
            }
            bytes += size;
            if let Some(last) = batches.last_mut() {
                last.puts.push(path.clone());
            }
        }
        batches.retain(|batch| !batch.removals.is_empty() || !batch.puts.is_empty());
        batches
    }

    /// Two that come to the same; `None` where it is one path, or goes as a whole.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.puts.len() / 2;
        let is_one = if self.removals.is_empty() { middle == 0 } else { self.puts.is_empty() };
        let (before, after) = self.puts.split_at(middle);
        let half =
            |removals: &[String], puts: &[PathBuf]| Self { removals: removals.to_owned(), puts: puts.to_owned() };
        (!is_one).then(|| (half(&self.removals, before), half(&[], after)))
    }

    /// The only path of it, where it is one to put.
    pub(crate) fn only(&self) -> Option<&str> {
        match (&self.removals[..], &self.puts[..]) {
            ([], [path]) => path.to_str(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64) -> Seen {
        Seen { known: Known::File { size, mode: 0o644, blake3: String::new() }, stat: None }
    }

    #[test]
    fn what_is_too_much_for_one_goes_in_more() {
        let sizes = [("a", BYTES), ("b", BYTES * 2), ("c", 1), ("d", BYTES - 1), ("e", 1)];
        let seen = sizes.iter().map(|(path, size)| ((*path).to_owned(), file(*size))).collect();
        let puts = sizes.iter().map(|(path, _)| path.into()).collect();
        let plan = Plan { puts, removals: vec!["gone".to_owned()], ..Plan::default() };
        let batches = Batch::all_of(&plan, &seen);
        let puts: Vec<Vec<&str>> =
            batches.iter().map(|batch| batch.puts.iter().filter_map(|path| path.to_str()).collect()).collect();
        assert_eq!(puts, [vec!["a"], vec!["b"], vec!["c", "d"], vec!["e"]]);
        assert_eq!(batches[0].removals, ["gone"]);
        let many = Plan { puts: (0..=PATHS).map(|number| number.to_string().into()).collect(), ..Plan::default() };
        assert_eq!(Batch::all_of(&many, &HashMap::new()).len(), 2);
        assert_eq!(Batch::all_of(&Plan::default(), &seen), []);
    }

    #[test]
    fn halves_come_to_the_whole() {
        let batch = |removals: &[&str], puts: &[&str]| Batch {
            removals: removals.iter().map(|&path| path.to_owned()).collect(),
            puts: puts.iter().map(PathBuf::from).collect(),
        };
        assert_eq!(batch(&["x"], &["a", "b"]).halves(), Some((batch(&["x"], &["a"]), batch(&[], &["b"]))));
        assert_eq!(batch(&["x"], &["a"]).halves(), Some((batch(&["x"], &[]), batch(&[], &["a"]))));
        assert_eq!((batch(&["x"], &[]).halves(), batch(&[], &["a"]).halves()), (None, None));
        assert_eq!((batch(&[], &["a"]).only(), batch(&["x"], &["a"]).only()), (Some("a"), None));
    }
}
