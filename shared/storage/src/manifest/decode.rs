//! Reads a manifest from untrusted bytes: what its columns say together is checked before anything trusts it.

use drydock_domain::{Digest, Tree};

use super::{Limits, MAGIC, Manifest, VERSION};
use crate::{
    StorageError,
    columns::{Body, Numbered, RESERVE_MAX},
    cursor::Cursor,
};

pub(super) fn decode(id: Digest, stored: &[u8], limits: &Limits) -> Result<Manifest, StorageError> {
    let what = format!("manifest {id}");
    let mut header = Cursor::new(stored, &what);
    if Digest::of(stored) != id {
        return Err(header.corrupt("it does not match its id"));
    }
    if header.take(MAGIC.len())? != MAGIC {
        return Err(header.corrupt("it does not start with the magic bytes"));
    }
    let (version, body_len) = (header.u32()?, header.u64()?);
    if version != VERSION {
        return Err(StorageError::Version { what, version });
    }
    if body_len > limits.body_max() {
        return Err(StorageError::TooLarge { what, limit: limits.body_max() });
    }
    let mut body = Body::open(header.rest(), body_len, &what)?;
    let manifest = read(&mut body, id, limits)?;
    body.finish()?;
    Ok(manifest)
}

fn read(body: &mut Body<'_>, id: Digest, limits: &Limits) -> Result<Manifest, StorageError> {
    let tree_id = body.digest()?;
    let [packs_len, blocks_len, entries_len] = [body.u32()?, body.u32()?, body.u32()?];
    let bytes = body.u64()?;
    limits.check_entries(entries_len.into())?;
    limits.check_bytes(bytes)?;
    if packs_len > blocks_len {
        return Err(body.corrupt("it has more packs than blocks"));
    }
    let mut packs = Vec::with_capacity((packs_len as usize).min(RESERVE_MAX));
    for _ in 0..packs_len {
        packs.push(body.pack()?);
    }
    let blocks = body.blocks(blocks_len as usize, Numbered { base: &[], new: &packs })?;
    let tree = Tree::from_sorted(body.entries(entries_len as usize)?).map_err(StorageError::InvalidTree)?;
    // Summed without overflow before anything trusts it.
    let sum = tree.entries().iter().try_fold(0_u64, |sum, entry| sum.checked_add(entry.size()));
    if sum != Some(bytes) {
        return Err(body.corrupt("sizes do not add up"));
    }
    if tree.id() != tree_id {
        return Err(body.corrupt("its entries do not hash to its tree id"));
    }
    let locations = body.locations(tree.entries(), Numbered { base: &[], new: &blocks })?;
    Ok(Manifest::whole(id, tree, locations, blocks, packs))
}
