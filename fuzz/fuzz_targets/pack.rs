//! Packs: the footer and checksums are made to fit. Every accepted block lies in the pack and unfolds to its length; every entry lies in
//! its block. The first two bytes are the length of the trailer.
#![no_main]

use drydock_domain::Digest;
use drydock_storage::pack::{BlockInfo, CHUNK, PackIndex};
use libfuzzer_sys::fuzz_target;

fn sealed(contents: &[u8], trailer_len: usize) -> Vec<u8> {
    let trailer = &contents[contents.len() - trailer_len..];
    let mut pack = contents.to_vec();
    pack.extend((trailer_len as u32).to_le_bytes());
    pack.extend(1_u32.to_le_bytes());
    pack.extend(Digest::of(trailer).as_bytes());
    pack.extend(b"DDPACK\r\n");
    pack
}

fuzz_target!(|data: &[u8]| {
    let _refused = PackIndex::read(data, "as it comes");
    let [low, high, contents @ ..] = data else { return };
    let trailer_len = usize::from(u16::from_le_bytes([*low, *high])).min(contents.len());
    let Ok(index) = PackIndex::read(&sealed(contents, trailer_len), "pack") else { return };
    let mut end = 0;
    for block in &index.blocks {
        assert_eq!(block.offset as usize, end);
        end += block.stored_len as usize;
        let stored = &contents[block.offset as usize..end];
        let fitting = BlockInfo { crc32c: crc32c::crc32c(stored), ..*block };
        for block in [block, &fitting] {
            if let Ok(raw) = block.decode(stored, "block") {
                assert!(raw.len() == block.raw_len as usize && raw.len() <= CHUNK);
            }
        }
    }
    assert_eq!(end + trailer_len, contents.len());
    for entry in &index.entries {
        let block = &index.blocks[entry.block as usize];
        assert!(u64::from(entry.offset) + u64::from(entry.len) <= u64::from(block.raw_len));
    }
});
