//! Writes a manifest: columns, compressed as one zstd frame.

use std::io::{self, Write};

use drydock_domain::{EntryKind, RelativePath};

use super::{Block, HEADER_LEN, Location, MAGIC, Manifest, VERSION};
use crate::StorageError;

/// Level 3 is within 5 % of the best on columns whose bulk are hashes.
const LEVEL: i32 = 3;

pub(super) fn encode(manifest: &Manifest) -> Result<Vec<u8>, StorageError> {
    let body = Column { out: Vec::with_capacity(manifest.tree.entries().len() * 80) }.manifest(manifest);
    let mut stored = Vec::with_capacity(HEADER_LEN + body.len() / 2);
    stored.extend(MAGIC);
    stored.extend(VERSION.to_le_bytes());
    stored.extend((body.len() as u64).to_le_bytes());
    compress(&body, &mut stored).map_err(StorageError::io("manifest in memory"))?;
    Ok(stored)
}

fn compress(body: &[u8], stored: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = zstd::stream::Encoder::new(stored, LEVEL)?;
    encoder.include_checksum(false)?;
    encoder.write_all(body)?;
    encoder.finish().map(drop)
}

struct Column {
    out: Vec<u8>,
}

impl Column {
    fn manifest(mut self, manifest: &Manifest) -> Vec<u8> {
        let entries = manifest.tree.entries();
        self.out.extend(manifest.tree_id.as_bytes());
        self.u32(manifest.packs.len());
        self.u32(manifest.blocks.len());
        self.u32(entries.len());
        self.out.extend(manifest.tree.total_bytes().to_le_bytes());
        for pack in &manifest.packs {
            self.out.extend(pack.id.as_bytes());
            self.out.extend(pack.bytes.to_le_bytes());
        }
        manifest.blocks.iter().for_each(|block| self.block(block));
        self.paths(entries.iter().map(|entry| &entry.path));
        for entry in entries {
            let (kind, mode) = match &entry.kind {
                EntryKind::File { mode, .. } => (1, mode.bits()),
                EntryKind::Dir { mode } => (2, mode.bits()),
                EntryKind::Symlink { .. } => (3, 0),
            };
            self.out.push(kind);
            self.out.extend((mode as u16).to_le_bytes());
        }
        for entry in entries {
            match &entry.kind {
                EntryKind::File { size, .. } => self.varint(*size),
                EntryKind::Symlink { target } => self.bytes(target.as_bytes()),
                EntryKind::Dir { .. } => {}
            }
        }
        for entry in entries {
            if let EntryKind::File { blob, .. } = &entry.kind {
                self.out.extend(blob.as_bytes());
            }
        }
        manifest.locations.iter().for_each(|location| self.location(location));
        self.out
    }

    fn block(&mut self, block: &Block) {
        self.varint(block.pack.into());
        self.varint(block.info.offset.into());
        self.varint(block.info.stored_len.into());
        self.varint(block.info.raw_len.into());
        self.out.extend(block.info.crc32c.to_le_bytes());
        self.out.push(block.info.codec.to_byte());
        self.out.push(u8::from(block.chunk.is_some()));
        if let Some(digest) = block.chunk {
            self.out.extend(digest.as_bytes());
        }
    }

    /// Front coding: bytes shared with the path before, then the rest.
    fn paths<'a>(&mut self, paths: impl Iterator<Item = &'a RelativePath>) {
        let mut previous: &[u8] = &[];
        for path in paths {
            let path = path.as_bytes();
            let shared = path.iter().zip(previous).take_while(|(a, b)| a == b).count();
            self.varint(shared as u64);
            self.bytes(&path[shared..]);
            previous = path;
        }
    }

    fn location(&mut self, location: &Location) {
        match location {
            Location::None => {}
            Location::Slice { block, offset } => {
                self.varint((*block).into());
                self.varint((*offset).into());
            }
            Location::Chunks(blocks) => {
                let runs: Vec<&[u32]> = blocks.chunk_by(|a, b| a.checked_add(1) == Some(*b)).collect();
                self.varint(runs.len() as u64);
                for run in runs {
                    self.varint(run[0].into());
                    self.varint(run.len() as u64);
                }
            }
        }
    }

    fn u32(&mut self, count: usize) {
        let count = u32::try_from(count).expect("limits keep counts below 2^32");
        self.out.extend(count.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.out.extend(bytes);
    }

    /// LEB128, unsigned.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
