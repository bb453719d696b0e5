//! Tests of the manifest format.

use drydock_domain::{LinkTarget, Mode};
use proptest::prelude::*;

use super::*;
use crate::{StorageErrorKind, pack::Codec};

/// Magic, version, length of the body before compression.
const HEADER_LEN: usize = 8 + 4 + 8;

pub(crate) fn path(text: &str) -> RelativePath {
    text.parse().unwrap()
}

pub(crate) fn file(size: u64, content: &[u8]) -> EntryKind {
    EntryKind::File { size, mode: Mode::new(0o644), blob: Digest::of(content) }
}

fn block(offset: u32, raw_len: u32, chunk: Option<Digest>) -> Block {
    let info = BlockInfo { offset, stored_len: raw_len, raw_len, crc32c: 0xdead_beef, codec: Codec::Raw };
    Block { pack: 0, info, chunk }
}

fn parts() -> (Vec<Entry>, Vec<Location>, Vec<Block>, Vec<PackRef>) {
    let target = LinkTarget::new("../elsewhere").unwrap();
    let entries = vec![
        Entry { path: path("dir"), kind: EntryKind::Dir { mode: Mode::new(0o755) } },
        Entry { path: path("dir/big"), kind: file(5 << 20, b"big") },
        Entry { path: path("dir/small"), kind: file(10, b"small") },
        Entry { path: RelativePath::new(b"dir/\xff").unwrap(), kind: EntryKind::Symlink { target } },
        Entry { path: path("empty"), kind: file(0, b"") },
    ];
    let locations = vec![
        Location::None,
        Location::Chunks([1, 2].into()),
        Location::Slice { block: 0, offset: 5 },
        Location::None,
        Location::None,
    ];
    let blocks = vec![
        block(0, 100, None),
        block(100, 4 << 20, Some(Digest::of(b"1"))),
        block(100 + (4 << 20), 1 << 20, Some(Digest::of(b"2"))),
    ];
    (entries, locations, blocks, vec![PackRef { id: Digest::of(b"pack"), bytes: 6 << 20, inline: false }])
}

pub(crate) fn sample() -> (Manifest, Bytes) {
    let (entries, locations, blocks, packs) = parts();
    Manifest::assemble(Tree::from_sorted(entries).unwrap(), locations, blocks, packs).unwrap()
}

fn body(stored: &[u8]) -> Vec<u8> {
    zstd::stream::decode_all(&stored[HEADER_LEN..]).unwrap()
}

/// A manifest object around any body, with the id it then has.
fn wrap(body: &[u8]) -> (Digest, Vec<u8>) {
    let mut stored = MAGIC.to_vec();
    stored.extend(VERSION.to_le_bytes());
    stored.extend((body.len() as u64).to_le_bytes());
    stored.extend(zstd::stream::encode_all(body, 3).unwrap());
    (Digest::of(&stored), stored)
}

fn decode(body: &[u8]) -> Result<Manifest, StorageError> {
    let (id, stored) = wrap(body);
    Manifest::decode(id, &stored, &Limits::default())
}

#[test]
fn reads_what_it_wrote() {
    let (manifest, stored) = sample();
    assert_eq!(Manifest::decode(manifest.id(), &stored, &Limits::default()).unwrap(), manifest);
    let (entry, location) = manifest.find(&path("dir/small")).unwrap();
    assert_eq!((entry.size(), location), (10, &Location::Slice { block: 0, offset: 5 }));
    assert!(manifest.find(&path("none")).is_none());
    assert!(manifest.memory() > 500);
    let (empty, stored) = Manifest::assemble(Tree::default(), vec![], vec![], vec![]).unwrap();
    assert_eq!(Manifest::decode(empty.id(), &stored, &Limits::default()).unwrap(), empty);
}

/// Frozen: a change here means that stored manifests cannot be read any more. The body is compared, because compressed
/// bytes may differ between versions of zstd.
#[test]
fn golden_layout() {
    let (manifest, stored) = sample();
    assert_eq!(&stored[..12], b"DDTREE\r\n\x01\0\0\0");
    let mut expected = manifest.tree_id().as_bytes().to_vec();
    expected.extend(b"\x01\0\0\0\x03\0\0\0\x05\0\0\0");
    expected.extend(((5_u64 << 20) + 10).to_le_bytes());
    expected.extend(Digest::of(b"pack").as_bytes());
    expected.extend((6_u64 << 20).to_le_bytes());
    expected.extend(b"\0\0\x64\x64\xef\xbe\xad\xde\0\0");
    expected.extend(b"\0\x64\x80\x80\x80\x02\x80\x80\x80\x02\xef\xbe\xad\xde\0\x01");
    expected.extend(Digest::of(b"1").as_bytes());
    expected.extend(b"\0\xe4\x80\x80\x02\x80\x80\x40\x80\x80\x40\xef\xbe\xad\xde\0\x01");
    expected.extend(Digest::of(b"2").as_bytes());
    expected.extend(b"\0\x03dir\x03\x04/big\x04\x05small\x04\x01\xff\0\x05empty");
    expected.extend(b"\x02\xed\x01\x01\xa4\x01\x01\xa4\x01\x03\0\0\x01\xa4\x01");
    expected.extend(b"\x80\x80\xc0\x02\x0a\x0c../elsewhere\0");
    for content in [&b"big"[..], b"small", b""] {
        expected.extend(Digest::of(content).as_bytes());
    }
    expected.extend(b"\x01\x01\x02\0\x05");
    assert_eq!(body(&stored), expected);
    assert_eq!(stored[12..20], (expected.len() as u64).to_le_bytes());
}

#[test]
fn damage_is_noticed() {
    let (manifest, stored) = sample();
    for at in 0..stored.len() {
        let mut damaged = stored.to_vec();
        damaged[at] ^= 1;
        let error = Manifest::decode(manifest.id(), &damaged, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::Corrupt);
        assert!(Manifest::decode(Digest::of(&stored[..at]), &stored[..at], &Limits::default()).is_err());
    }
    let mut newer = stored.to_vec();
    newer[8] = 9;
    let newer = Manifest::decode(Digest::of(&newer), &newer, &Limits::default());
    assert!(matches!(newer, Err(StorageError::Version { version: 9, .. })));
}

/// A body that hashes correctly but, by one edit of a valid one, says something it must not.
fn assert_refused(from: &[u8], to: &[u8], reason: &str) {
    let good = body(&sample().1);
    let mut windows = good.windows(from.len());
    let at = windows.position(|window| window == from).unwrap();
    let hostile = [&good[..at], to, &good[at + from.len()..]].concat();
    let error = decode(&hostile).unwrap_err().to_string();
    let edit = to.escape_ascii();
    assert!(error.contains(reason), "{edit}: {error}");
}

#[test]
fn hostile_names_are_refused() {
    assert_refused(b"\x03dir", b"\x03a/.", "forbidden path");
    assert_refused(b"\x05empty", b"\x02..", "forbidden path");
    assert_refused(b"\x03dir", b"\x03/ir", "forbidden path");
    assert_refused(b"\x03dir", b"\x03d\0r", "forbidden path");
    assert_refused(b"\x03\x04/big", b"\x04\x04/big", "shares more");
    assert_refused(b"\x05empty", b"\xff\x7fempty", "too long");
    assert_refused(b"\x0c../elsewhere", b"\0", "link target");
    // Out of order, twice, without a parent.
    assert_refused(b"\x05small", b"\x05aaaaa", "valid tree");
    assert_refused(b"\x04\x05small", b"\x07\0", "valid tree");
    assert_refused(b"\x05empty", b"\x05e/pty", "valid tree");
}

#[test]
fn hostile_fields_are_refused() {
    decode(&body(&sample().1)).unwrap();
    assert_refused(b"\x02\xed\x01", b"\x02\xed\x09", "permission bits");
    assert_refused(b"\x02\xed\x01", b"\x04\xed\x01", "unknown kind");
    let tree_id = *sample().0.tree_id().as_bytes();
    assert_refused(&tree_id, &[7; 32], "tree id");
    assert_refused(b"\x01\x01\x02\0\x05", b"\x01\x01\x02\0\x05\0", "left over");
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let (_, stored) = sample();
    let good = body(&stored);
    for at in 0..good.len() {
        assert!(decode(&good[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn contents_outside_their_blocks_are_refused() {
    let refused = |change: fn(&mut Vec<Location>, &mut Vec<Block>)| {
        let (entries, mut locations, mut blocks, packs) = parts();
        change(&mut locations, &mut blocks);
        let tree = Tree::from_sorted(entries).unwrap();
        let (manifest, stored) = Manifest::assemble(tree, locations, blocks, packs).unwrap();
        Manifest::decode(manifest.id(), &stored, &Limits::default()).unwrap_err().to_string()
    };
    let outside = "outside its blocks";
    assert!(refused(|locations, _| locations[1] = Location::Chunks([1].into())).contains(outside));
    assert!(refused(|locations, _| locations[1] = Location::Chunks([2, 1].into())).contains(outside));
    assert!(refused(|locations, _| locations[1] = Location::Chunks([1, 3].into())).contains(outside));
    assert!(refused(|locations, _| locations[1] = Location::Chunks([1, 2, 2].into())).contains(outside));
    assert!(refused(|locations, _| locations[2] = Location::Slice { block: 0, offset: 91 }).contains(outside));
    assert!(refused(|locations, _| locations[2] = Location::Slice { block: 1, offset: 0 }).contains(outside));
    assert!(refused(|locations, _| locations[2] = Location::Slice { block: 7, offset: 0 }).contains(outside));
    let place = "impossible place";
    assert!(refused(|_, blocks| blocks[0].info.raw_len = 99).contains(place), "raw block, other length");
    assert!(refused(|_, blocks| blocks[0].pack = 1).contains(place));
    assert!(refused(|_, blocks| blocks.swap(1, 2)).contains(place));
    assert!(refused(|_, blocks| blocks[2].info.offset += 1 << 20).contains(place), "beyond the pack");
    assert!(refused(|_, blocks| blocks[1].chunk = None).contains(place), "solid and too long");
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    let (manifest, stored) = sample();
    for limits in [Limits::new(4, u64::MAX), Limits::new(100, 5 << 20)] {
        let error = Manifest::decode(manifest.id(), &stored, &limits).unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::TooLarge);
    }
    let mut bomb = stored[..12].to_vec();
    bomb.extend((2_u64 << 30).to_le_bytes());
    bomb.extend(zstd::stream::encode_all(&*vec![0; 1 << 20], 3).unwrap());
    let error = Manifest::decode(Digest::of(&bomb), &bomb, &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(at in 0_usize..400, bytes in proptest::collection::vec(any::<u8>(), 1..8)) {
        let (_, stored) = sample();
        let mut body = body(&stored);
        let at = at.min(body.len());
        let end = (at + bytes.len()).min(body.len());
        body.splice(at..end, bytes);
        // Either refused, or a manifest that holds together.
        if let Ok(manifest) = decode(&body) {
            prop_assert_eq!(manifest.tree().id(), manifest.tree_id());
        }
    }
}
