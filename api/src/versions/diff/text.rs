//! A comparison as one patch. What a patch cannot say stands in comment lines between sections, which `git apply` passes over.

use super::{change::Change, patch::Section, plan::Omitted, quote::quoted};

/// The section of a change, or a comment in its place.
pub(super) fn part(change: &Change, section: Result<Section, Omitted>) -> Vec<u8> {
    match section {
        Ok(section) if !section.text.is_empty() => section.text,
        Ok(_) => comment(change, Omitted::Mode),
        Err(omitted) => comment(change, omitted),
    }
}

fn comment(change: &Change, omitted: Omitted) -> Vec<u8> {
    let (path, word) = (quoted("", change.path()), change.word().replace('_', " "));
    let from = match change {
        Change::Renamed { old, .. } => format!(" from {}", quoted("", &old.path)),
        _ => String::new(),
    };
    format!("# {word} {path}{from}: {}\n", omitted.why()).into_bytes()
}

/// Said at the end, when more files differ.
pub(super) fn more(cursor: &str) -> Vec<u8> {
    format!("# more files differ: ?cursor={cursor}\n").into_bytes()
}
