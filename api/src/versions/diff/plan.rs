//! Which changes an answer tells, and which of these it compares: decided from sizes alone, so that the same request is always cut at the
//! same places.

use drydock_domain::{Entry, RelativePath};

use super::change::Change;

/// Changed files listed in one answer at most.
pub(crate) const MAX_CHANGES: usize = 10_000;
/// Files whose contents are compared in one answer at most.
pub(crate) const MAX_COMPARED: usize = 1_000;
/// Largest file that is compared, in bytes.
pub(crate) const MAX_COMPARED_BYTES: u64 = 512 * 1024;
/// Bytes that are compared in one answer at most, both sides counted.
pub(crate) const MAX_COMPARED_TOTAL: u64 = 16 << 20;

/// Why a change is told without its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Omitted {
    /// A side is no text.
    Binary,
    /// As JSON only: the lines are not UTF-8. The patch has them.
    NotUtf8,
    /// A side is larger than files that are compared.
    TooLarge,
    /// As many files were compared as an answer may.
    TooMany,
    /// As many bytes were compared as an answer may.
    TooMuch,
    /// Only permissions differ that a patch cannot say.
    Mode,
    /// The list alone was asked for.
    NotAsked,
}

impl Omitted {
    /// For a comment in a patch.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLarge => "too large",
            Self::TooMany => "too many files",
            Self::TooMuch => "too much in all",
            Self::Mode => "permissions that a patch cannot say",
            Self::NotAsked => "not asked for",
        }
    }
}

/// One answer's part of all changes.
pub(super) struct Page {
    /// Each with why it is not compared, where that is so.
    pub(super) changes: Vec<(Change, Option<Omitted>)>,
    /// The last path, when there are more.
    pub(super) next: Option<RelativePath>,
}

/// The first `limit` changes after `after`.
pub(super) fn page(changes: Vec<Change>, after: Option<&RelativePath>, limit: usize, compare: bool) -> Page {
    let mut rest = changes.into_iter().filter(|change| after.is_none_or(|after| change.path() > after));
    let mut budget = Budget::default();
    let judge = |change: Change| {
        let omitted = if compare { budget.judge(&change) } else { Some(Omitted::NotAsked) };
        (change, omitted)
    };
    let changes: Vec<_> = rest.by_ref().take(limit).map(judge).collect();
    let last = changes.last().map(|(change, _)| change.path().clone());
    Page { changes, next: rest.next().and(last) }
}

#[derive(Default)]
struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    fn judge(&mut self, change: &Change) -> Option<Omitted> {
        if !change.needs_content() {
            return None;
        }
        let size = |entry: Option<&Entry>| entry.map_or(0, Entry::size);
        let (old, new) = (size(change.was()), size(change.is()));
        if old.max(new) > MAX_COMPARED_BYTES {
            return Some(Omitted::TooLarge);
        }
        if self.files >= MAX_COMPARED {
            return Some(Omitted::TooMany);
        }
        if self.bytes + old + new > MAX_COMPARED_TOTAL {
            return Some(Omitted::TooMuch);
        }
        self.files += 1;
        self.bytes += old + new;
        None
    }
}

#[cfg(test)]
mod tests {
    use drydock_domain::{Digest, EntryKind, Mode};

    use super::*;

    fn created(at: usize, size: u64) -> Change {
        let kind = EntryKind::File { size, mode: Mode::new(0o644), blob: Digest::of(&at.to_le_bytes()) };
        Change::Created(Entry { path: format!("f{at:05}").parse().unwrap(), kind })
    }

    fn omitted(page: &Page) -> Vec<Option<Omitted>> {
        page.changes.iter().map(|(_, omitted)| *omitted).collect()
    }

    #[test]
    fn what_is_compared_is_bounded_in_files_and_bytes() {
        let big = page(vec![created(0, MAX_COMPARED_BYTES + 1), created(1, MAX_COMPARED_BYTES)], None, 9, true);
        assert_eq!(omitted(&big), [Some(Omitted::TooLarge), None]);
        let many = page((0..=MAX_COMPARED).map(|at| created(at, 1)).collect(), None, MAX_CHANGES, true);
        assert_eq!(omitted(&many)[MAX_COMPARED - 1..], [None, Some(Omitted::TooMany)]);
        let files = usize::try_from(MAX_COMPARED_TOTAL / MAX_COMPARED_BYTES).unwrap();
        let mut much: Vec<Change> = (0..=files).map(|at| created(at, MAX_COMPARED_BYTES)).collect();
        much.push(created(files + 1, 0));
        let much = page(much, None, MAX_CHANGES, true);
        assert_eq!(omitted(&much)[files - 1..], [None, Some(Omitted::TooMuch), None]);
    }

    #[test]
    fn pages_follow_each_other() {
        let all: Vec<Change> = (0..5).map(|at| created(at, 1)).collect();
        let first = page(all.clone(), None, 2, false);
        assert_eq!((first.changes.len(), omitted(&first)[0]), (2, Some(Omitted::NotAsked)));
        let second = page(all.clone(), first.next.as_ref(), 2, true);
        assert_eq!(second.changes[0].0, all[2]);
        let last = page(all, second.next.as_ref(), 2, true);
        assert_eq!((last.changes.len(), last.next), (1, None));
    }
}
