//! Reads a delta from untrusted bytes: what its columns say together is checked before anything trusts it.

use drydock_domain::{Digest, Entry, RelativePath};

use super::{BODY_MAX, Counts, Delta, MAGIC, Parts, VERSION};
use crate::{
    Limits, Manifest, StorageError,
    columns::{Body, Numbered, RESERVE_MAX},
    cursor::Cursor,
    manifest::PackRef,
};

pub(super) fn decode(stored: &[u8], base: &Manifest, limits: &Limits) -> Result<Parts, StorageError> {
    let what = format!("delta of manifest {}", base.id());
    if stored.len() > Delta::INLINE_MAX {
        return Err(StorageError::TooLarge { what, limit: Delta::INLINE_MAX as u64 });
    }
    let mut header = Cursor::new(stored, &what);
    if header.take(MAGIC.len())? != MAGIC {
        return Err(header.corrupt("it does not start with the magic bytes"));
    }
    let version = header.u32()?;
    if version != VERSION {
        return Err(StorageError::Version { what, version });
    }
    if header.digest()? != base.id() {
        return Err(header.corrupt("it belongs to another manifest"));
    }
    let body_len = header.u64()?;
    if body_len > BODY_MAX {
        return Err(StorageError::TooLarge { what, limit: BODY_MAX });
    }
    let mut body = Body::open(header.rest(), body_len, &what)?;
    let parts = read(&mut body, base, limits)?;
    body.finish()?;
    Ok(parts)
}

fn read(body: &mut Body<'_>, base: &Manifest, limits: &Limits) -> Result<Parts, StorageError> {
    let tree_id = body.digest()?;
    let [packs_len, blocks_len, removed_len, put_len] = [body.u32()?, body.u32()?, body.u32()?, body.u32()?];
    let counts = Counts { entries: body.u64()?, files: body.u64()?, bytes: body.u64()? };
    limits.check_entries(counts.entries)?;
    limits.check_bytes(counts.bytes)?;
    if packs_len > blocks_len {
        return Err(body.corrupt("it has more packs than blocks"));
    }
    if removed_len as usize > base.tree().entries().len() || u64::from(put_len) > counts.entries {
        return Err(body.corrupt("it changes more than there is"));
    }
    let packs = packs(body, packs_len)?;
    let blocks = body.blocks(blocks_len as usize, Numbered { base: base.packs(), new: &packs })?;
    let removed = body.paths(removed_len as usize)?;
    let put = body.entries(put_len as usize)?;
    in_order(body, &removed, &put)?;
    let locations = body.locations(&put, Numbered { base: base.blocks(), new: &blocks })?;
    let inline = inline(body, &packs)?;
    Ok(Parts { base: base.id(), tree_id, counts, packs, blocks, removed, put, locations, inline })
}

fn packs(body: &mut Body<'_>, count: u32) -> Result<Vec<PackRef>, StorageError> {
    let mut packs: Vec<PackRef> = Vec::with_capacity((count as usize).min(RESERVE_MAX));
    for _ in 0..count {
        if packs.last().is_some_and(|last| last.inline) {
            return Err(body.corrupt("only its last pack can be inline"));
        }
        let pack = body.pack()?;
        let inline = match body.u8()? {
            0 => false,
            1 if pack.bytes <= BODY_MAX => true,
            _ => return Err(body.corrupt("unknown kind of pack")),
        };
        packs.push(PackRef { inline, ..pack });
    }
    Ok(packs)
}

/// Each list sorted and without repetition, and nothing removed below what is removed.
fn in_order(body: &Body<'_>, removed: &[RelativePath], put: &[Entry]) -> Result<(), StorageError> {
    let fine = removed.is_sorted_by(|a, b| a < b && !b.is_below(a)) && put.is_sorted_by(|a, b| a.path < b.path);
    if fine { Ok(()) } else { Err(body.corrupt("its paths are out of order")) }
}

fn inline(body: &mut Body<'_>, packs: &[PackRef]) -> Result<Vec<u8>, StorageError> {
    let Some(pack) = packs.last().filter(|pack| pack.inline) else {
        return Ok(Vec::new());
    };
    let inline = body.raw(pack.bytes as usize)?;
    if Digest::of(&inline) == pack.id { Ok(inline) } else { Err(body.corrupt("its contents do not match their hash")) }
}
