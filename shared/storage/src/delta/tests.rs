//! Tests of the delta format.

use std::sync::Arc;

use drydock_domain::{EntryKind, LinkTarget, Mode, TreeEdit};
use proptest::prelude::*;

use super::*;
use crate::{
    StorageErrorKind,
    manifest::tests::{file, path},
    pack::{BlockInfo, Codec},
};

/// Magic, version, base, length of the body before compression.
const HEADER_LEN: usize = 8 + 4 + 32 + 8;
const INLINE: &[u8] = b"twenty bytes inside.";

pub(crate) fn base() -> Arc<Manifest> {
    Arc::new(crate::manifest::tests::sample().0)
}

fn block(pack: u32, raw_len: u32, crc32c: u32, chunk: Option<Digest>) -> Block {
    Block { pack, info: BlockInfo { offset: 0, stored_len: raw_len, raw_len, crc32c, codec: Codec::Raw }, chunk }
}

/// One of each: removed, another mode, a new file inside, one in a new pack, one in the base's, a link.
fn parts() -> Parts {
    let base = base();
    let target = LinkTarget::new("small").unwrap();
    let put = vec![
        Entry { path: path("added"), kind: file(7, b"added") },
        Entry { path: path("big"), kind: file(300 << 10, b"big") },
        Entry { path: path("copy"), kind: file(10, b"small") },
        Entry { path: path("dir"), kind: EntryKind::Dir { mode: Mode::new(0o700) } },
        Entry { path: path("dir/link"), kind: EntryKind::Symlink { target } },
    ];
    let mut edit = TreeEdit::new(base.tree());
    edit.remove(&path("dir/small"));
    put.iter().for_each(|entry| edit.put(entry.path.clone(), entry.kind.clone()));
    let edited = edit.finish().unwrap();
    assert_eq!(edited.put(), put);
    Parts {
        base: base.id(),
        tree_id: edited.id(),
        counts: Counts { entries: edited.entry_count(), files: edited.file_count(), bytes: edited.total_bytes() },
        packs: vec![
            PackRef { id: Digest::of(b"new"), bytes: 400 << 10, inline: false },
            PackRef { id: Digest::of(INLINE), bytes: 20, inline: true },
        ],
        blocks: vec![
            block(1, 300 << 10, 0xdead_beef, Some(Digest::of(b"big"))),
            block(2, 20, crc32c::crc32c(INLINE), None),
        ],
        removed: vec![path("dir/small")],
        put,
        locations: vec![
            Location::Slice { block: 4, offset: 13 },
            Location::Chunks([3].into()),
            Location::Slice { block: 0, offset: 5 },
            Location::None,
            Location::None,
        ],
        inline: INLINE.to_vec(),
    }
}

fn assemble(parts: Parts) -> Delta {
    Delta::assemble(parts, Delta::INLINE_MAX).unwrap().ok().expect("it is short")
}

pub(crate) fn sample() -> Delta {
    assemble(parts())
}

fn decode(stored: &[u8]) -> Result<Delta, StorageError> {
    Delta::decode(&Bytes::copy_from_slice(stored), &base(), &Limits::default())
}

fn apply(delta: Delta) -> Result<Manifest, StorageError> {
    Manifest::apply(&base(), Arc::new(delta))
}

fn body(stored: &[u8]) -> Vec<u8> {
    zstd::stream::decode_all(&stored[HEADER_LEN..]).unwrap()
}

/// A delta of the base around any body.
fn wrap(body: &[u8]) -> Vec<u8> {
    let mut stored = [&MAGIC[..], &VERSION.to_le_bytes(), base().id().as_bytes()].concat();
    stored.extend((body.len() as u64).to_le_bytes());
    stored.extend(zstd::stream::encode_all(body, 3).unwrap());
    stored
}

#[test]
fn reads_what_it_wrote_and_applies_it() {
    let delta = sample();
    assert_eq!(decode(delta.encoded()).unwrap(), delta);
    let view = apply(delta).unwrap();
    let paths: Vec<_> = view.iter().map(|(entry, _)| entry.path.as_bytes().to_vec()).collect();
    let expected: [&[u8]; 8] = [b"added", b"big", b"copy", b"dir", b"dir/big", b"dir/link", b"dir/\xff", b"empty"];
    assert_eq!(paths, expected);
    assert_eq!((view.packs().len(), view.blocks().len()), (3, 5));
    assert_eq!(view.inline(2, 13..20).unwrap().unwrap(), "inside.".as_bytes());
    assert_eq!(view.inline(2, 13..21).unwrap().unwrap_err().kind(), StorageErrorKind::Corrupt);
    assert!(view.inline(1, 0..1).is_none());
    // Contents of the base are found, also those this version removed.
    assert_eq!(view.find_blob(&Digest::of(b"small")), Some(&Location::Slice { block: 0, offset: 5 }));
    assert_eq!(view.find_blob(&Digest::of(b"added")), Some(&Location::Slice { block: 4, offset: 13 }));
    assert_eq!(view.find_blob(&Digest::of(b"")), None, "an empty file lies nowhere");
    assert_eq!(view.find_chunk(&Digest::of(b"big")), Some(3));
    assert_eq!(view.find_chunk(&Digest::of(b"2")), Some(2));
    assert_eq!(view.find_chunk(&Digest::of(b"none")), None);
}

/// Frozen: a change here means that stored deltas cannot be read any more.
#[test]
fn golden_layout() {
    let delta = sample();
    assert_eq!(delta.encoded()[..8], *b"DDDELTA\n");
    assert_eq!(delta.encoded()[8..12], [1, 0, 0, 0]);
    assert_eq!(delta.encoded()[12..44], *base().id().as_bytes());
    let mut expected = delta.tree_id().as_bytes().to_vec();
    expected.extend(b"\x02\0\0\0\x02\0\0\0\x01\0\0\0\x05\0\0\0");
    expected.extend([8_u64, 7, (5 << 20) + 7 + (300 << 10) + 10].map(u64::to_le_bytes).concat());
    expected.extend(Digest::of(b"new").as_bytes());
    expected.extend(b"\0\x40\x06\0\0\0\0\0\0");
    expected.extend(Digest::of(INLINE).as_bytes());
    expected.extend(b"\x14\0\0\0\0\0\0\0\x01");
    expected.extend(b"\x01\0\x80\xe0\x12\x80\xe0\x12\xef\xbe\xad\xde\0\x01");
    expected.extend(Digest::of(b"big").as_bytes());
    expected.extend(b"\x02\0\x14\x14");
    expected.extend(crc32c::crc32c(INLINE).to_le_bytes());
    expected.extend(b"\0\0");
    expected.extend(b"\0\x09dir/small");
    expected.extend(b"\0\x05added\0\x03big\0\x04copy\0\x03dir\x03\x05/link");
    expected.extend(b"\x01\xa4\x01\x01\xa4\x01\x01\xa4\x01\x02\xc0\x01\x03\0\0");
    expected.extend(b"\x07\x80\xe0\x12\x0a\x05small");
    for content in [&b"added"[..], b"big", b"small"] {
        expected.extend(Digest::of(content).as_bytes());
    }
    expected.extend(b"\x04\x0d\x01\x03\x01\0\x05");
    expected.extend(INLINE);
    assert_eq!(body(delta.encoded()), expected);
    assert_eq!(delta.encoded()[44..52], (expected.len() as u64).to_le_bytes());
}

#[test]
fn damage_is_noticed() {
    let delta = sample();
    for at in 0..delta.encoded().len() {
        assert!(decode(&delta.encoded()[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = delta.encoded().to_vec();
            damaged[at] ^= 1 << bit;
            // A frame may say the same in other words, as with a bigger window; but it never says another thing.
            if let Ok(read) = decode(&damaged) {
                assert_eq!(body(read.encoded()), body(delta.encoded()), "byte {at} bit {bit}");
            }
        }
    }
    let mut newer = delta.encoded().to_vec();
    newer[8] = 9;
    assert!(matches!(decode(&newer), Err(StorageError::Version { version: 9, .. })));
    let long = vec![0; Delta::INLINE_MAX + 1];
    assert_eq!(decode(&long).unwrap_err().kind(), StorageErrorKind::TooLarge);
    let mut bomb = delta.encoded()[..44].to_vec();
    bomb.extend((BODY_MAX + 1).to_le_bytes());
    bomb.extend(zstd::stream::encode_all(&*vec![0; BODY_MAX as usize + 1], 3).unwrap());
    assert_eq!(decode(&bomb).unwrap_err().kind(), StorageErrorKind::TooLarge);
}

#[test]
fn another_manifest_is_refused() {
    let delta = sample();
    let (other, _) = Manifest::assemble(Tree::default(), vec![], vec![], vec![]).unwrap();
    let error = Delta::decode(delta.encoded(), &other, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("another manifest"), "{error}");
    let error = Manifest::apply(&Arc::new(other), Arc::new(delta.clone())).unwrap_err();
    assert!(error.to_string().contains("another manifest"), "{error}");
    let view = Arc::new(apply(delta.clone()).unwrap());
    assert!(Manifest::apply(&view, Arc::new(delta)).is_err(), "a delta is applied once");
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let refused = |change: fn(&mut Parts), reason: &str| {
        let mut parts = parts();
        change(&mut parts);
        let read = decode(assemble(parts).encoded()).and_then(apply);
        let error = read.unwrap_err();
        let told = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        assert!(told.contains(reason), "{told}, not {reason}");
    };
    refused(|parts| parts.tree_id = Digest::of(b""), "tree id");
    refused(|parts| parts.counts.files += 1, "add up");
    refused(|parts| parts.counts.bytes -= 1, "add up");
    refused(|parts| parts.counts.entries += 1, "add up");
    refused(|parts| parts.counts.entries = 200_001, "over the limit");
    refused(|parts| parts.counts.bytes = u64::MAX, "over the limit");
    refused(|parts| parts.counts.entries = 4, "changes more than there is");
    refused(|parts| parts.removed[0] = path("none"), "not there");
    refused(|parts| parts.removed = vec![path("dir"), path("dir/small")], "out of order");
    refused(|parts| parts.removed = vec![path("empty"), path("dir/small")], "out of order");
    refused(|parts| parts.removed = vec![path("dir/small"); 2], "out of order");
    refused(|parts| parts.removed = ["a", "b", "c", "d", "e", "f"].map(path).into(), "changes more than there is");
    refused(|parts| parts.put.swap(0, 1), "out of order");
    refused(|parts| parts.put[4].path = path("a"), "out of order");
    refused(|parts| parts.put[4].path = path("dir"), "out of order");
    refused(|parts| parts.put[4].path = path("eir/link"), "not a directory");
    refused(|parts| parts.put[4].path = path("empty/link"), "not a directory");
    refused(|parts| parts.put[2].path = path("bin/x"), "not a directory");
    refused(|parts| parts.packs[0].inline = true, "last pack");
    refused(|parts| parts.packs[1].id = Digest::of(b""), "do not match their hash");
    refused(|parts| parts.inline[0] ^= 1, "do not match their hash");
    refused(|parts| parts.inline.truncate(19), "ends too early");
    refused(|parts| parts.inline.push(0), "left over");
    refused(|parts| parts.packs[1].bytes = BODY_MAX + 1, "kind of pack");
    let place = "impossible place";
    refused(|parts| parts.blocks[0].pack = 0, place);
    refused(|parts| parts.blocks[1].pack = 3, place);
    refused(|parts| parts.blocks.swap(0, 1), place);
    refused(|parts| parts.blocks[1].info.offset = 1, place);
    let outside = "outside its blocks";
    refused(|parts| parts.locations[0] = Location::Slice { block: 4, offset: 14 }, outside);
    refused(|parts| parts.locations[0] = Location::Slice { block: 5, offset: 0 }, outside);
    refused(|parts| parts.locations[2] = Location::Slice { block: 1, offset: 0 }, outside);
    refused(|parts| parts.locations[1] = Location::Chunks([1].into()), outside);
}

#[test]
fn too_long_is_told_before_it_is_stored() {
    let len = sample().encoded().len();
    assert!(Delta::assemble(parts(), len).unwrap().is_ok());
    let back = Delta::assemble(parts(), len - 1).unwrap();
    assert_eq!(back.expect_err("one byte too long").inline, INLINE);
    let limits = Limits::new(7, u64::MAX);
    let error = Delta::decode(sample().encoded(), &base(), &limits).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(at in 0_usize..500, bytes in proptest::collection::vec(any::<u8>(), 1..8)) {
        let mut body = body(sample().encoded());
        let at = at.min(body.len());
        let end = (at + bytes.len()).min(body.len());
        body.splice(at..end, bytes);
        // Either refused, or a version that holds together.
        if let Ok(view) = decode(&wrap(&body)).and_then(apply) {
            prop_assert_eq!(view.tree().entries().len(), view.locations().len());
        }
    }
}
