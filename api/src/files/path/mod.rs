//! The one path resolver: what a client wrote becomes an entry of a tree, or it is refused. Nothing here
//! touches a disk: links are followed inside the version's own list of files.

mod subtree;
#[cfg(test)]
mod tests;

pub(crate) use self::subtree::Subtree;
use drydock_domain::{Entry, EntryKind, RelativePath, Tree};
use percent_encoding::percent_decode;

/// Links followed at most: Linux gives up after as many (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// A path encoded more often than this is not looked through further; it then names no file either.
const MAX_DECODES: usize = 3;

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathFault {
    /// It leaves the workspace or tries to: 400.
    Invalid,
    /// Safe, but nothing is there: 404.
    Absent,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target<'a> {
    /// A file or directory of the tree.
    Entry(&'a Entry),
    /// One of the two documents of an attempt, which are in no tree.
    Exchange(RelativePath),
    /// The top directory.
    Top,
}

/// Reads a path as it stands in a URL: percent-decoded once, and refused if it leaves the workspace as written, decoded
/// once, or decoded again.
pub(crate) fn parse(raw: &str) -> Result<RelativePath, PathFault> {
    let mut form = raw.as_bytes().to_vec();
    let mut decoded = None;
    for _ in 0..MAX_DECODES {
        check(&form)?;
        let next: Vec<u8> = percent_decode(&form).collect();
        if next == form {
            break;
        }
        decoded.get_or_insert_with(|| next.clone());
        form = next;
    }
    check(&form)?;
    let path = decoded.unwrap_or_else(|| raw.as_bytes().to_vec());
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    RelativePath::new(parts.join(&b'/')).map_err(|_| PathFault::Absent)
}

/// Refuses what leaves a directory on any system: `..` between slashes of either kind, roots, drives, UNC names, NUL.
fn check(path: &[u8]) -> Result<(), PathFault> {
    let absolute = matches!(path, [b'/' | b'\\', ..]);
    let drive = matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let climbs = path.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..");
    if absolute || drive || climbs || path.contains(&0) { Err(PathFault::Invalid) } else { Ok(()) }
}

/// What `path` leads to in `tree`, following links inside it.
pub(super) fn resolve<'a>(tree: &'a Tree, path: &RelativePath) -> Result<Target<'a>, PathFault> {
    let mut ahead: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut at: Option<RelativePath> = None;
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at = at.ok_or(PathFault::Invalid)?.parent();
                continue;
            }
            _ => {}
        }
        let next = at.as_ref().map_or_else(|| RelativePath::new(&name), |dir| dir.join(&name));
        let next = next.map_err(|_| PathFault::Absent)?;
        let entry = match tree.get(&next) {
            Some(entry) => entry,
            None if ahead.is_empty() && next.is_protocol_file() => {
                return Ok(Target::Exchange(next));
            }
            // The directory of the documents is in no tree that holds nothing else in it.
            None if next.as_bytes() == b".codex" => {
                at = Some(next);
                continue;
            }
            None => return Err(PathFault::Absent),
        };
        match &entry.kind {
            EntryKind::Symlink { target } => {
                links += 1;
                check_target(target.as_bytes(), links)?;
                ahead.extend(target.as_bytes().split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
            }
            EntryKind::File { .. } if !ahead.is_empty() => return Err(PathFault::Absent),
            _ => at = Some(next),
        }
    }
    at.map_or(Ok(Target::Top), |at| tree.get(&at).map(Target::Entry).ok_or(PathFault::Absent))
}

/// An absolute link leaves the workspace; too many are a loop.
fn check_target(target: &[u8], links: usize) -> Result<(), PathFault> {
    match target {
        [b'/', ..] => Err(PathFault::Invalid),
        _ if links > MAX_LINKS => Err(PathFault::Absent),
        _ => Ok(()),
    }
}

/// Whether a listing shows `entry`: links that leave the workspace are left out, those that dangle inside are shown.
pub(super) fn is_listed(tree: &Tree, entry: &Entry) -> bool {
    match entry.kind {
        EntryKind::Symlink { .. } => resolve(tree, &entry.path) != Err(PathFault::Invalid),
        EntryKind::File { .. } => true,
        EntryKind::Dir { .. } => false,
    }
}
