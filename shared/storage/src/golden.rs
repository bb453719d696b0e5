//! Golden files: objects as they were written when their format was decided, in `tests/golden`. What cannot read them
//! any more cannot read what is stored.
//!
//! Compressed bytes may differ between versions of zstd, so a writer is held to the files only in what they say.

use bytes::Bytes;
use drydock_domain::Digest;

use crate::{Delta, Limits, Manifest, SealedLogWriter, delta, log::LogIndex, manifest, pack, pack::PackIndex};

const PACK: &[u8] = include_bytes!("../tests/golden/pack-v1.bin");
const MANIFEST: &[u8] = include_bytes!("../tests/golden/manifest-v1.bin");
const DELTA: &[u8] = include_bytes!("../tests/golden/delta-v1.bin");
const LOG: &[u8] = include_bytes!("../tests/golden/log-v1.bin");

/// Two frames: one compressed, one shorter than a frame could be.
fn log() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = SealedLogWriter::create(directory.path()).unwrap();
    writer.push(&log_content()).unwrap();
    let sealed = writer.finish().unwrap();
    fs_err::read(sealed.file.path()).unwrap()
}

fn log_content() -> Vec<u8> {
    let mut content = b"a line of the log\n".repeat((256 << 10) / 18 + 1);
    content.truncate(256 << 10);
    content.extend(b"\x00\xff\nend");
    content
}

fn log_decoded(log: &[u8]) -> Vec<u8> {
    let frames = LogIndex::read(log, "log").unwrap().frames.into_iter().map(|frame| frame.block);
    frames
        .flat_map(|block| block.decode(&log[block.offset as usize..][..block.stored_len as usize], "log").unwrap())
        .collect()
}

fn pack_decoded(pack: &[u8]) -> Vec<(Digest, Vec<u8>)> {
    let index = PackIndex::read(pack, "pack").unwrap();
    let content = |entry: &pack::IndexEntry| {
        let block = index.blocks[entry.block as usize];
        let stored = &pack[block.offset as usize..][..block.stored_len as usize];
        let raw = block.decode(stored, "pack").unwrap();
        (entry.digest, raw[entry.offset as usize..][..entry.len as usize].to_vec())
    };
    index.entries.iter().map(content).collect()
}

#[test]
fn packs_are_read_and_written_as_ever() {
    let contents = [b"hello\n".repeat(100), b"world\n".repeat(50), Digest::of(b"noise").as_bytes().to_vec()];
    let expected = contents.map(|content| (Digest::of(&content), content));
    assert_eq!(pack_decoded(PACK), expected);
    assert_eq!(pack_decoded(&pack::tests::sample().1), expected);
}

#[test]
fn manifests_are_read_and_written_as_ever() {
    let (expected, _) = manifest::tests::sample();
    let read = Manifest::decode(Digest::of(MANIFEST), MANIFEST, &Limits::default()).unwrap();
    assert_eq!(read.tree(), expected.tree());
    assert_eq!(read.locations(), expected.locations());
    assert_eq!((read.blocks(), read.packs()), (expected.blocks(), expected.packs()));
    assert_eq!(read.tree_id().to_string(), "21d28191561be11fe5598ea094e32b444c398ece02a47197a66f86b7590bd20e");
}

#[test]
fn deltas_are_read_and_written_as_ever() {
    let base = Manifest::decode(Digest::of(MANIFEST), MANIFEST, &Limits::default()).unwrap();
    let read = Delta::decode(&Bytes::from_static(DELTA), &base, &Limits::default()).unwrap();
    let expected = delta::tests::sample();
    assert_eq!((read.removed(), read.put()), (expected.removed(), expected.put()));
    assert_eq!((read.locations(), read.blocks()), (expected.locations(), expected.blocks()));
    assert_eq!((read.packs(), read.inline()), (expected.packs(), expected.inline()));
    assert_eq!(read.tree_id(), expected.tree_id());
    let view = Manifest::apply(&base.into(), read.into()).unwrap();
    assert_eq!(view.tree_id(), expected.tree_id());
}

#[test]
fn logs_are_read_and_written_as_ever() {
    assert!(log_decoded(LOG) == log_content());
    assert_eq!(LogIndex::read(LOG, "log").unwrap().lines, 14564);
    assert!(log_decoded(&log()) == log_content());
}

/// Run once for each new format version, by hand; never to make a red test green.
#[test]
#[ignore = "writes files that are missing"]
fn write_what_is_missing() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = [
        ("pack-v1.bin", pack::tests::sample().1),
        ("manifest-v1.bin", manifest::tests::sample().1.to_vec()),
        ("delta-v1.bin", delta::tests::sample().encoded().to_vec()),
        ("log-v1.bin", log()),
    ];
    for (name, bytes) in files {
        let path = directory.join(name);
        if fs_err::metadata(&path).map_or(0, |file| file.len()) == 0 {
            fs_err::write(&path, bytes).unwrap();
        }
    }
}
