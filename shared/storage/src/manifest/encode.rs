//! Writes a manifest: header, and columns compressed as one zstd frame.

use super::{MAGIC, Manifest, VERSION};
use crate::{StorageError, columns::compress};

pub(super) fn encode(manifest: &Manifest) -> Result<Vec<u8>, StorageError> {
    let header = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    let encoded = compress(header, false, |body| {
        body.digest(manifest.tree_id())?;
        body.count(manifest.packs.len())?;
        body.count(manifest.blocks.len())?;
        body.count(manifest.tree.entries().len())?;
        body.u64(manifest.tree.total_bytes())?;
        manifest.packs.iter().try_for_each(|pack| body.pack(pack))?;
        manifest.blocks.iter().try_for_each(|block| body.block(block))?;
        body.entries(manifest.tree.entries(), &manifest.locations)
    });
    let (stored, _) = encoded.map_err(StorageError::io("manifest in memory"))?;
    Ok(stored)
}
