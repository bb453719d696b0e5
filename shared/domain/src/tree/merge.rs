//! A tree with some paths removed and others put: which entry of the result comes from where.

use std::cmp::Ordering;

use super::{Entry, Tree};
use crate::path::RelativePath;

/// Where an entry of a merged tree comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The base, at this index of [`Tree::entries`].
    Base(usize),
    /// What was put, at this index.
    Put(usize),
}

/// The entries of `base` without the `removed` paths and all below them, and with `put`, which replaces what the base
/// has at the same path; in path order. Both lists are sorted; the result is a tree only where [`Tree::from_sorted`]
/// says so.
pub fn merge<'a>(
    base: &'a Tree,
    removed: &'a [RelativePath],
    put: &'a [Entry],
) -> impl Iterator<Item = Merged> + use<'a> {
    let (mut old, mut new, mut gone) = (0, 0, removed.iter().peekable());
    std::iter::from_fn(move || {
        while let Some(entry) = base.entries().get(old) {
            while gone.next_if(|path| **path < entry.path).is_some() {}
            if gone.next_if(|path| **path == entry.path).is_none() {
                break;
            }
            old = base.subtree(old).end;
        }
        let order = match (base.entries().get(old), put.get(new)) {
            (Some(entry), Some(put)) => entry.path.cmp(&put.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let merged = if order.is_lt() { Merged::Base(old) } else { Merged::Put(new) };
        old += usize::from(order.is_le());
        new += usize::from(order.is_ge());
        Some(merged)
    })
}
