//! The index of a data file: a file of this node only, read at its next start.
//!
//! ```text
//! "DDNODE\r\n", u32 version, 16 bytes tenant, 36 bytes boot id, u8 1 when data and index were synced,
//! u32 blocks, u32 pieces, each: 32 bytes BLAKE3, u32 first block, u32 length
//! 32 bytes BLAKE3 of all before
//! ```
//! All numbers are little-endian.

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use drydock_domain::{Digest, TenantId};

use super::data::Piece;
use crate::kill_point::{KillPoint, pass};

const MAGIC: &[u8; 8] = b"DDNODE\r\n";
const VERSION: u32 = 1;
const BOOT_ID_LEN: usize = 36;
const HEADER_LEN: usize = 8 + 4 + 16 + BOOT_ID_LEN + 1 + 4 + 4;
const PIECE_LEN: usize = Digest::LEN + 4 + 4;
const SUFFIX: &str = "index";

/// Whether the bytes survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Only if the machine has not restarted since.
    Written,
    /// Yes.
    Synced,
}

/// What an index says.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) tenant: TenantId,
    pub(super) blocks: u32,
    pub(super) durability: Durability,
    pub(super) pieces: Vec<Piece>,
}

pub(super) fn path(data: &Path) -> PathBuf {
    data.with_extension(SUFFIX)
}

pub(super) fn is_index(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(SUFFIX))
}

/// Writes the index of the data file at `data`, all of it or nothing.
pub(super) fn write(data: &Path, index: &Index) -> io::Result<()> {
    let Index { tenant, blocks, durability, pieces } = index;
    let mut bytes = Vec::with_capacity(HEADER_LEN + pieces.len() * PIECE_LEN + Digest::LEN);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(tenant.uuid().as_bytes());
    bytes.extend(boot_id()?);
    bytes.push(u8::from(*durability == Durability::Synced));
    bytes.extend(blocks.to_le_bytes());
    bytes.extend(u32::try_from(pieces.len()).map_err(io::Error::other)?.to_le_bytes());
    for piece in pieces {
        bytes.extend(piece.digest.as_bytes());
        bytes.extend(piece.block.to_le_bytes());
        bytes.extend(piece.len.to_le_bytes());
    }
    bytes.extend(Digest::of(&bytes).as_bytes());
    let directory = data.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(&bytes)?;
    if *durability == Durability::Synced {
        new.as_file().sync_data()?;
    }
    pass(KillPoint::Indexed);
    new.persist(path(data)).map_err(|error| error.error)?;
    Ok(())
}

/// Reads an index. `None` when it is damaged, of another version, or its data may not have survived.
pub(super) fn read(path: &Path) -> io::Result<Option<Index>> {
    let bytes = fs_err::read(path)?;
    let boot_id = boot_id()?;
    Ok(parse(&bytes, &boot_id))
}

fn parse(bytes: &[u8], boot_id: &[u8; BOOT_ID_LEN]) -> Option<Index> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(Digest::LEN)?)?;
    if Digest::of(body).as_bytes() != digest {
        return None;
    }
    let (header, mut rest) = body.split_at_checked(HEADER_LEN)?;
    let (magic, header) = header.split_at(8);
    let (version, header) = header.split_at(4);
    let (tenant, header) = header.split_at(16);
    let (booted, header) = header.split_at(BOOT_ID_LEN);
    let (synced, header) = header.split_at(1);
    let (blocks, count) = header.split_at(4);
    let durability = if synced == [1] { Durability::Synced } else { Durability::Written };
    let survived = durability == Durability::Synced || booted == boot_id;
    if magic != MAGIC || number(version)? != VERSION || !survived || rest.len() != number(count)? as usize * PIECE_LEN {
        return None;
    }
    let blocks = number(blocks)?;
    let mut pieces = Vec::with_capacity(rest.len() / PIECE_LEN);
    while let Some((piece, next)) = rest.split_at_checked(PIECE_LEN) {
        let digest = Digest::try_from(&piece[..Digest::LEN]).ok()?;
        let (block, len) = (number(&piece[32..36])?, number(&piece[36..])?);
        if block.checked_add(Piece::blocks(len)).is_none_or(|end| end > blocks) {
            return None;
        }
        pieces.push(Piece { digest, block, len });
        rest = next;
    }
    let tenant = TenantId::from(uuid::Uuid::from_slice(tenant).ok()?);
    Some(Index { tenant, blocks, durability, pieces })
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// Another one after each start of the machine (`proc_sys_kernel(5)`).
fn boot_id() -> io::Result<[u8; BOOT_ID_LEN]> {
    let text = fs_err::read("/proc/sys/kernel/random/boot_id")?;
    text.get(..BOOT_ID_LEN).and_then(|id| id.try_into().ok()).ok_or_else(|| io::Error::other("the boot id is no UUID"))
}
