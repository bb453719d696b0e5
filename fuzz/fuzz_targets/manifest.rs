//! Manifests, from their body before compression: header, frame and id are made to fit. What is accepted is what it says it is.
#![no_main]

use drydock_domain::{Digest, EntryKind};
use drydock_storage::{
    Limits, Manifest,
    manifest::Location,
    pack::{CHUNK, SOLID_MAX},
};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { entries: 1000, bytes: 1 << 30 };

fn check(manifest: &Manifest) {
    let blocks = manifest.blocks();
    let tree = manifest.tree();
    assert!(tree.entries().len() as u64 <= LIMITS.entries && tree.total_bytes() <= LIMITS.bytes);
    assert_eq!(tree.entries().len(), manifest.locations().len());
    for block in blocks {
        let pack = &manifest.packs()[block.pack as usize];
        assert!(u64::from(block.info.offset) + u64::from(block.info.stored_len) <= pack.bytes);
        assert!(block.info.raw_len as usize <= if block.chunk.is_some() { CHUNK } else { SOLID_MAX });
    }
    for (entry, location) in manifest.iter() {
        assert_eq!(manifest.find(&entry.path).map(|(found, _)| found), Some(entry));
        let raw = |at: &u32| u64::from(blocks[*at as usize].info.raw_len);
        match location {
            Location::None => assert_eq!(entry.size(), 0),
            Location::Slice { block, offset } => assert!(u64::from(*offset) + entry.size() <= raw(block)),
            Location::Chunks(chunks) => assert_eq!(chunks.iter().map(raw).sum::<u64>(), entry.size()),
        }
        assert!(*location == Location::None || matches!(entry.kind, EntryKind::File { .. }));
    }
}

fuzz_target!(|body: &[u8]| {
    let mut stored = b"DDTREE\r\n".to_vec();
    stored.extend(1_u32.to_le_bytes());
    stored.extend((body.len() as u64).to_le_bytes());
    stored.extend(zstd::bulk::compress(body, -5).expect("memory"));
    if let Ok(manifest) = Manifest::decode(Digest::of(&stored), &stored, &LIMITS) {
        check(&manifest);
    }
    // As it comes, with nothing made to fit.
    assert!(Manifest::decode(Digest::of(body), body, &LIMITS).is_err() || body.starts_with(b"DDTREE\r\n"));
});
