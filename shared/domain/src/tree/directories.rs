//! The directories of a tree: the hash of each and where what it holds ends.
//!
//! Owns the byte layout behind the tree id, which the module above documents.

use super::{Entry, EntryKind};
use crate::digest::Digest;

const DOMAIN: &[u8] = b"drydock-dir-v1";

/// One directory below the top.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    /// Its index among the entries.
    entry: u32,
    /// The index after the last entry below it.
    end: u32,
    hash: Digest,
}

/// All of them, in path order, and the hash of the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directories {
    below: Vec<Directory>,
    top: Digest,
}

/// The hash of one directory, fed with what it holds in byte order of the names.
pub(super) struct DirectoryHasher {
    hasher: blake3::Hasher,
    /// Bytes that are not hashed yet.
    pending: Vec<u8>,
}

/// Bytes hashed at a time: BLAKE3 is several times as fast where it gets many of its chunks (1 KiB) at once.
const BATCH: usize = 16 << 10;

impl Directories {
    /// Of sorted, valid entries.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut below: Vec<Directory> = Vec::with_capacity(entries.iter().filter(|entry| entry.is_dir()).count());
        let mut top = DirectoryHasher::new();
        let mut open: Vec<(usize, DirectoryHasher)> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let parent = entry.path.parent_bytes().unwrap_or_default();
            while open.last().is_some_and(|(slot, _)| path(entries, &below[*slot]) != parent) {
                close(entries, &mut below, &mut open, &mut top, at);
            }
            if entry.is_dir() {
                open.push((below.len(), DirectoryHasher::new()));
                below.push(Directory { entry: index(at), end: 0, hash: Digest::from_bytes([0; 32]) });
            } else {
                innermost(&mut open, &mut top).add(entry.path.file_name(), &entry.kind, None);
            }
        }
        while !open.is_empty() {
            close(entries, &mut below, &mut open, &mut top, entries.len());
        }
        Self { below, top: top.finish() }
    }

    pub(super) const fn top(&self) -> Digest {
        self.top
    }

    /// The index after the last entry below the directory at `entry`; `None` where that is no directory.
    pub(super) fn end(&self, entry: usize) -> Option<usize> {
        self.find(entry).map(|directory| directory.end as usize)
    }

    /// The hash of the directory at `entry`; `None` where that is no directory.
    pub(super) fn hash(&self, entry: usize) -> Option<Digest> {
        self.find(entry).map(|directory| directory.hash)
    }

    fn find(&self, entry: usize) -> Option<&Directory> {
        let at = self.below.binary_search_by_key(&entry, |directory| directory.entry as usize).ok()?;
        Some(&self.below[at])
    }
}

fn path<'e>(entries: &'e [Entry], directory: &Directory) -> &'e [u8] {
    entries[directory.entry as usize].path.as_bytes()
}

fn innermost<'o>(open: &'o mut [(usize, DirectoryHasher)], top: &'o mut DirectoryHasher) -> &'o mut DirectoryHasher {
    open.last_mut().map_or(top, |(_, hasher)| hasher)
}

fn close(
    entries: &[Entry],
    below: &mut [Directory],
    open: &mut Vec<(usize, DirectoryHasher)>,
    top: &mut DirectoryHasher,
    end: usize,
) {
    if let Some((slot, hasher)) = open.pop() {
        let directory = &mut below[slot];
        directory.hash = hasher.finish();
        directory.end = index(end);
        let entry = &entries[directory.entry as usize];
        innermost(open, top).add(entry.path.file_name(), &entry.kind, Some(directory.hash));
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("four thousand million entries do not fit in memory")
}

impl DirectoryHasher {
    pub(super) fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), pending: DOMAIN.to_vec() }
    }

    /// Adds an entry; `hash` is that of the directory it is.
    pub(super) fn add(&mut self, name: &[u8], kind: &EntryKind, hash: Option<Digest>) {
        self.feed(&[&length(name), name]);
        match kind {
            EntryKind::File { size, mode, blob } => {
                self.feed(&[&[1], &mode.0.to_le_bytes(), &size.to_le_bytes(), blob.as_bytes()]);
            }
            EntryKind::Dir { mode } => {
                let hash = hash.expect("a directory is hashed before what holds it");
                self.feed(&[&[2], &mode.0.to_le_bytes(), hash.as_bytes()]);
            }
            EntryKind::Symlink { target } => {
                self.feed(&[&[3], &length(target.as_bytes()), target.as_bytes()]);
            }
        }
        if self.pending.len() >= BATCH {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    fn feed(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.pending.extend_from_slice(part));
    }

    pub(super) fn finish(mut self) -> Digest {
        self.hasher.update(&self.pending).finalize().into()
    }
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("names and targets are limited to 4095 bytes").to_le_bytes()
}
