//! Tests of trees and of the tree id.

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RelativePath {
    text.parse().unwrap()
}

fn file(text: &str, mode: u32, content: &[u8]) -> Entry {
    let kind = EntryKind::File { size: content.len() as u64, mode: Mode::new(mode), blob: Digest::of(content) };
    Entry { path: path(text), kind }
}

fn dir(text: &str, mode: u32) -> Entry {
    Entry { path: path(text), kind: EntryKind::Dir { mode: Mode::new(mode) } }
}

fn link(text: &str, target: &str) -> Entry {
    Entry { path: path(text), kind: EntryKind::Symlink { target: LinkTarget::new(target).unwrap() } }
}

fn sample() -> Vec<Entry> {
    vec![
        file("a.txt", 0o644, b"hello\n"),
        dir("bin", 0o755),
        file("bin/run", 0o755, b"#!/bin/sh\n"),
        link("bin/sh", "/bin/sh"),
        dir("empty", 0o700),
    ]
}

/// Frozen: a change here means that every stored version gets another id.
#[test]
fn golden_tree_id() {
    assert_eq!(Tree::default().id(), Digest::of(b"drydock-dir-v1"));
    let by_hand = {
        let mut bin = b"drydock-dir-v1\x03\0run\x01\xed\x01".to_vec();
        bin.extend(10_u64.to_le_bytes());
        bin.extend(Digest::of(b"#!/bin/sh\n").as_bytes());
        bin.extend(b"\x02\0sh\x03\x07\0/bin/sh");
        let mut top = b"drydock-dir-v1\x05\0a.txt\x01\xa4\x01".to_vec();
        top.extend(6_u64.to_le_bytes());
        top.extend(Digest::of(b"hello\n").as_bytes());
        top.extend(b"\x03\0bin\x02\xed\x01");
        top.extend(Digest::of(&bin).as_bytes());
        top.extend(b"\x05\0empty\x02\xc0\x01");
        top.extend(Digest::of(b"drydock-dir-v1").as_bytes());
        Digest::of(&top)
    };
    assert_eq!(Tree::new(sample()).unwrap().id(), by_hand);
    let frozen = "398246ff97005da633ce36c0338ddbdf1196bd9873ea599e4aa6fd7c3226bc8c";
    assert_eq!(by_hand.to_string(), frozen);
}

/// Red when what was hashed already is hashed again: small directories do not show it.
#[test]
fn a_big_directory_is_hashed_as_a_small_one() {
    let mut by_hand = b"drydock-dir-v1".to_vec();
    let mut entries = Vec::new();
    for at in 0..1000 {
        let name = format!("f{at:04}");
        by_hand.extend(b"\x05\0");
        by_hand.extend(name.as_bytes());
        by_hand.extend(b"\x01\xa4\x01");
        by_hand.extend(5_u64.to_le_bytes());
        by_hand.extend(Digest::of(name.as_bytes()).as_bytes());
        entries.push(file(&name, 0o644, name.as_bytes()));
    }
    assert_eq!(Tree::new(entries).unwrap().id(), Digest::of(&by_hand));
}

#[test]
fn every_property_counts() {
    let base = Tree::new(sample()).unwrap().id();
    let variants: [(usize, Entry); 7] = [
        (0, file("a.txt", 0o644, b"hello")),
        (0, file("a.txt", 0o600, b"hello\n")),
        (0, file("b.txt", 0o644, b"hello\n")),
        (0, link("a.txt", "hello\n")),
        (1, dir("bin", 0o700)),
        (3, link("bin/sh", "/bin/bash")),
        (4, file("empty", 0o700, b"")),
    ];
    for (at, entry) in variants {
        let mut entries = sample();
        entries[at] = entry.clone();
        assert_ne!(Tree::new(entries).unwrap().id(), base, "{entry:?}");
    }
    let mut without_empty = sample();
    without_empty.pop();
    assert_ne!(Tree::new(without_empty).unwrap().id(), base, "an empty directory counts");
}

#[test]
fn special_mode_bits_are_dropped() {
    assert_eq!(Mode::new(0o107_755).bits(), 0o755);
    assert_eq!(Mode::new(0o1000), Mode::new(0));
}

#[test]
fn refuses_what_is_no_tree() {
    let cases: [(Vec<Entry>, TreeError); 5] = [
        (vec![file("a", 0, b""), dir("a", 0)], TreeError::Duplicate(path("a"))),
        (vec![file("a", 0, b""), file("a/b", 0, b"")], TreeError::ParentNotDirectory(path("a/b"))),
        (vec![link("a", "b"), file("a/b", 0, b"")], TreeError::ParentNotDirectory(path("a/b"))),
        (vec![file("a/b", 0, b"")], TreeError::ParentNotDirectory(path("a/b"))),
        (vec![dir("a", 0), file("ab/c", 0, b"")], TreeError::ParentNotDirectory(path("ab/c"))),
    ];
    for (entries, error) in cases {
        assert_eq!(Tree::new(entries), Err(error));
    }
    let unsorted = vec![file("b", 0, b""), file("a", 0, b"")];
    assert_eq!(Tree::from_sorted(unsorted), Err(TreeError::Unsorted(path("a"))));
    for target in ["", "a\0b", &"x".repeat(4096)] {
        assert_eq!(LinkTarget::new(target), Err(TreeError::LinkTarget));
    }
}

#[test]
fn protocol_files_are_no_part_of_a_tree() {
    let plain = Tree::new(sample()).unwrap();
    let mut entries = sample();
    entries.extend([
        dir(".codex", 0o755),
        file(".codex/request.json", 0o644, b"{}"),
        dir(".codex/result.json", 0o755),
        file(".codex/result.json/x", 0o644, b"{}"),
    ]);
    assert_eq!(Tree::new(entries.clone()).unwrap(), plain);
    entries.push(file(".codex/notes", 0o644, b"kept"));
    let kept = Tree::new(entries).unwrap();
    assert_eq!(kept.entries().len(), plain.entries().len() + 2);
    let read = vec![dir(".codex", 0o755), file(".codex/result.json", 0o644, b"{}")];
    assert_eq!(Tree::from_sorted(read), Err(TreeError::Protocol(path(".codex/result.json"))));
}

#[test]
fn counts_files_and_bytes() {
    let tree = Tree::new(sample()).unwrap();
    assert_eq!((tree.file_count(), tree.total_bytes()), (3, 16));
    assert_eq!(tree.get(&path("bin/run")).unwrap().size(), 10);
    assert!(tree.get(&path("bin/none")).is_none());
}

proptest! {
    #[test]
    fn the_id_does_not_depend_on_the_order_given(mut entries in Just(sample()).prop_shuffle()) {
        let id = Tree::new(entries.clone()).unwrap().id();
        entries.reverse();
        prop_assert_eq!(Tree::new(entries).unwrap().id(), id);
        prop_assert_eq!(Tree::new(sample()).unwrap().id(), id);
    }
}
