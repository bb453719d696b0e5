//! Tests of the pack format.

use proptest::prelude::*;

use super::*;
use crate::{StorageError, StorageErrorKind};
use drydock_domain::Digest;

/// A pack with one solid block of two files and one incompressible chunk.
pub(crate) fn sample() -> (Digest, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::create(directory.path());
    let mut compressor = Compressor::new().unwrap();
    let solid = [b"hello\n".repeat(100), b"world\n".repeat(50)].concat();
    let (codec, stored) = encode_block(&mut compressor, &solid).unwrap();
    assert_eq!(codec, Codec::Zstd);
    let entries = [(0, 600, Digest::of(&solid[..600])), (600, 300, Digest::of(&solid[600..]))];
    writer.append(codec, &stored, solid.len(), entries).unwrap();
    let noise = Digest::of(b"noise").as_bytes().to_vec();
    let (codec, stored) = encode_block(&mut compressor, &noise).unwrap();
    assert_eq!(codec, Codec::Raw);
    writer.append(codec, &stored, noise.len(), [(0, 32, Digest::of(&noise))]).unwrap();
    let sealed = writer.seal().unwrap();
    let bytes = fs_err::read(sealed.file.file.path()).unwrap();
    assert_eq!(sealed.file.len, bytes.len() as u64);
    assert_eq!(sealed.file.crc32c, crc32c::crc32c(&bytes));
    (sealed.id, bytes)
}

/// Frozen: a change here means that stored packs cannot be read any more. The compressed bytes may differ between
/// versions of zstd; everything after them may not.
#[test]
fn golden_layout() {
    let (id, pack) = sample();
    assert_eq!(id, Digest::of(&pack));
    let index = PackIndex::read(&pack, "pack").unwrap();
    let solid_len = index.blocks[0].stored_len as usize;
    let mut expected = pack[..solid_len].to_vec();
    expected.extend(Digest::of(b"noise").as_bytes());
    let trailer_start = expected.len();
    expected.extend([2, 0, 0, 0]);
    expected.extend([0, 0, 0, 0, solid_len as u8, 0, 0, 0, 0x84, 3, 0, 0, 1]);
    expected.extend(crc32c::crc32c(&pack[..solid_len]).to_le_bytes());
    expected.extend([solid_len as u8, 0, 0, 0, 32, 0, 0, 0, 32, 0, 0, 0, 0]);
    expected.extend(crc32c::crc32c(Digest::of(b"noise").as_bytes()).to_le_bytes());
    expected.extend([3, 0, 0, 0]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x58, 2, 0, 0]);
    expected.extend(Digest::of(&b"hello\n".repeat(100)).as_bytes());
    expected.extend([0, 0, 0, 0, 0x58, 2, 0, 0, 0x2c, 1, 0, 0]);
    expected.extend(Digest::of(&b"world\n".repeat(50)).as_bytes());
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0]);
    expected.extend(Digest::of(Digest::of(b"noise").as_bytes()).as_bytes());
    let trailer = Digest::of(&expected[trailer_start..]);
    let trailer_len = (expected.len() - trailer_start) as u32;
    assert_eq!(trailer_len, 4 + 2 * 17 + 4 + 3 * 44);
    expected.extend(trailer_len.to_le_bytes());
    expected.extend([1, 0, 0, 0]);
    expected.extend(trailer.as_bytes());
    expected.extend(b"DDPACK\r\n");
    assert_eq!(pack, expected);
}

#[test]
fn blocks_decode_to_what_was_packed() {
    let (_, pack) = sample();
    let index = PackIndex::read(&pack, "pack").unwrap();
    for entry in &index.entries {
        let block = index.blocks[entry.block as usize];
        let stored = &pack[block.offset as usize..][..block.stored_len as usize];
        let raw = block.decode(stored, "pack").unwrap();
        assert_eq!(Digest::of(&raw[entry.offset as usize..][..entry.len as usize]), entry.digest);
    }
}

#[test]
fn every_flipped_byte_and_every_truncation_is_noticed() {
    let (_, pack) = sample();
    let whole = PackIndex::read(&pack, "pack").unwrap();
    let check = |pack: &[u8]| -> Result<(), StorageError> {
        let index = PackIndex::read(pack, "pack")?;
        for block in &index.blocks {
            block.decode(&pack[block.offset as usize..][..block.stored_len as usize], "pack")?;
        }
        assert_eq!(index, whole);
        Ok(())
    };
    check(&pack).unwrap();
    for at in 0..pack.len() {
        let mut damaged = pack.clone();
        damaged[at] ^= 0x10;
        let error = check(&damaged).expect_err("flipped byte");
        assert_eq!(error.kind(), StorageErrorKind::Corrupt, "byte {at}: {error}");
        assert!(check(&pack[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let (_, mut pack) = sample();
    let version = pack.len() - 8 - 32 - 4;
    pack[version] = 2;
    assert!(matches!(PackIndex::read(&pack, "pack"), Err(StorageError::Version { version: 2, .. })));
}

#[test]
fn a_block_that_unfolds_further_than_declared_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
    let block = BlockInfo {
        offset: 0,
        stored_len: bomb.len() as u32,
        raw_len: 1 << 20,
        crc32c: crc32c::crc32c(&bomb),
        codec: Codec::Zstd,
    };
    assert!(block.decode(&bomb, "bomb").is_err());
    assert!(BlockInfo { raw_len: 8 << 20, ..block }.decode(&bomb, "bomb").is_err(), "over the block size");
    assert!(BlockInfo { raw_len: CHUNK as u32, ..block }.decode(&bomb, "bomb").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PackIndex::read(&bytes, "noise");
        let mut footed = bytes;
        footed.extend(*b"DDPACK\r\n");
        let _ = PackIndex::read(&footed, "noise");
    }
}
