//! Tests of the log index; reading and writing need a server and are in `tests/it`.

use proptest::prelude::*;

use super::index::{FOOTER_LEN, Frame, LogIndex};
use crate::{
    StorageError,
    pack::{BlockInfo, Codec},
};

fn sample() -> LogIndex {
    let frame = |offset, start, lines_before| Frame {
        block: BlockInfo { offset, stored_len: 10, raw_len: 100, crc32c: 7, codec: Codec::Zstd },
        start,
        lines_before,
    };
    LogIndex { frames: vec![frame(0, 0, 0), frame(10, 100, 3)], lines: 5 }
}

/// Frozen: a change here means that stored logs cannot be read any more.
#[test]
fn golden_layout() {
    let mut expected = b"\x02\0\0\0".to_vec();
    expected.extend(b"\0\0\0\0\x0a\0\0\0\x64\0\0\0\x01\x07\0\0\0\0\0\0\0\0\0\0\0");
    expected.extend(b"\x0a\0\0\0\x0a\0\0\0\x64\0\0\0\x01\x07\0\0\0\x03\0\0\0\0\0\0\0");
    let trailer = drydock_domain::Digest::of(&expected);
    expected.extend(b"\x05\0\0\0\0\0\0\0\x36\0\0\0\x01\0\0\0");
    expected.extend(trailer.as_bytes());
    expected.extend(b"DDLOG\0\r\n");
    assert_eq!(sample().encode(), expected);
    assert_eq!(LogIndex::read(&expected, "log").unwrap(), sample());
    assert_eq!(LogIndex::len(&expected, "log").unwrap(), expected.len() as u64);
}

#[test]
fn damage_is_noticed() {
    let good = sample().encode();
    // The count of lines is not part of the hashed trailer; a reader only shows it.
    let lines = good.len() - FOOTER_LEN..good.len() - FOOTER_LEN + 8;
    for at in (0..good.len()).filter(|at| !lines.contains(at)) {
        let mut damaged = good.clone();
        damaged[at] ^= 2;
        assert!(LogIndex::read(&damaged, "log").is_err(), "byte {at}");
        assert!(LogIndex::read(&good[..at], "log").is_err(), "cut at {at}");
    }
    let mut newer = good;
    let version = newer.len() - 8 - 32 - 4;
    newer[version] = 3;
    assert!(matches!(LogIndex::read(&newer, "log"), Err(StorageError::Version { version: 3, .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = LogIndex::read(&bytes, "noise");
        bytes.extend(*b"DDLOG\0\r\n");
        let _ = LogIndex::read(&bytes, "noise");
        let _ = LogIndex::len(&bytes, "noise");
    }
}
