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
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use drydock_domain::{Digest, TenantId};
use fs_err::File;

use super::data::Piece;
use crate::kill_point::{KillPoint, pass};

const MAGIC: &[u8; 8] = b"DDNODE\r\n";
const VERSION: u32 = 1;
const BOOT_ID_LEN: usize = 36;
const HEADER_LEN: usize = 8 + 4 + 16 + BOOT_ID_LEN + 1 + 4 + 4;
const PIECE_LEN: usize = Digest::LEN + 4 + 4;
const SUFFIX: &str = "index";
const BUFFER: usize = 64 << 10;

/// Whether the bytes survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Only if the machine has not restarted since.
    Written,
    /// Yes.
    Synced,
}

/// What an index says of the data file as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) tenant: TenantId,
    pub(super) blocks: u32,
    pub(super) durability: Durability,
    /// Number of pieces.
    pub(super) count: u32,
}

/// An index that was read and found whole. Its pieces stay on the disk until they are asked for: there may be very many.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    pub(super) header: Header,
}

pub(super) fn path(data: &Path) -> PathBuf {
    data.with_extension(SUFFIX)
}

pub(super) fn is_index(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(SUFFIX))
}

/// Writes the index of the data file at `data`, all of it or nothing.
pub(super) fn write(data: &Path, header: &Header, pieces: impl Iterator<Item = io::Result<Piece>>) -> io::Result<()> {
    let directory = data.parent().unwrap_or(Path::new("."));
    let new = tempfile::NamedTempFile::new_in(directory)?;
    let mut out = BufWriter::with_capacity(BUFFER, Hashed::of(new));
    out.write_all(&header.encode(&boot_id()?))?;
    for piece in pieces {
        let Piece { digest, block, len } = piece?;
        out.write_all(digest.as_bytes())?;
        out.write_all(&block.to_le_bytes())?;
        out.write_all(&len.to_le_bytes())?;
    }
    let Hashed { of: mut new, hasher } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    new.write_all(hasher.finalize().as_bytes())?;
    if header.durability == Durability::Synced {
        new.as_file().sync_data()?;
    }
    pass(KillPoint::Indexed);
    new.persist(path(data)).map_err(|error| error.error)?;
    Ok(())
}

/// Says in the index of the data file at `data` that both are on the disk.
pub(super) fn mark_synced(data: &Path) -> io::Result<()> {
    let index = read(&path(data))?.ok_or_else(|| io::Error::other("the index of a data file is damaged"))?;
    write(data, &Header { durability: Durability::Synced, ..index.header }, index.pieces()?)
}

/// Reads an index. `None` when it is damaged, of another version, or its data may not have survived.
pub(super) fn read(path: &Path) -> io::Result<Option<Index>> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut input = Hashed::of(BufReader::with_capacity(BUFFER, file));
    match check(&mut input, len) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        checked => Ok(checked.ok().flatten().map(|header| Index { path: path.to_owned(), header })),
    }
}

fn check(input: &mut Hashed<impl Read>, len: u64) -> io::Result<Option<Header>> {
    let mut header = [0; HEADER_LEN];
    input.read_exact(&mut header)?;
    let Some(header) = Header::decode(&header, &boot_id()?) else { return Ok(None) };
    if len != (HEADER_LEN + header.count as usize * PIECE_LEN + Digest::LEN) as u64 {
        return Ok(None);
    }
    for _ in 0..header.count {
        let Piece { block, len, .. } = piece(input)?;
        if block.checked_add(Piece::blocks(len)).is_none_or(|end| end > header.blocks) {
            return Ok(None);
        }
    }
    let digest = input.hasher.finalize();
    let mut stored = [0; Digest::LEN];
    input.read_exact(&mut stored)?;
    Ok((digest == stored).then_some(header))
}

impl Header {
    fn encode(&self, boot_id: &[u8; BOOT_ID_LEN]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.tenant.uuid().as_bytes());
        bytes.extend(boot_id);
        bytes.push(u8::from(self.durability == Durability::Synced));
        bytes.extend(self.blocks.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes
    }

    fn decode(header: &[u8; HEADER_LEN], boot_id: &[u8; BOOT_ID_LEN]) -> Option<Self> {
        let (magic, header) = header.split_at(8);
        let (version, header) = header.split_at(4);
        let (tenant, header) = header.split_at(16);
        let (booted, header) = header.split_at(BOOT_ID_LEN);
        let (synced, header) = header.split_at(1);
        let (blocks, count) = header.split_at(4);
        let durability = if synced == [1] { Durability::Synced } else { Durability::Written };
        let survived = durability == Durability::Synced || booted == boot_id;
        if magic != MAGIC || number(version)? != VERSION || !survived {
            return None;
        }
        let tenant = TenantId::from(uuid::Uuid::from_slice(tenant).ok()?);
        Some(Self { tenant, blocks: number(blocks)?, durability, count: number(count)? })
    }
}

impl Index {
    /// The pieces, read as they are taken.
    pub(super) fn pieces(&self) -> io::Result<impl Iterator<Item = io::Result<Piece>> + use<>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(HEADER_LEN as u64))?;
        let mut input = BufReader::with_capacity(BUFFER, file);
        Ok((0..self.header.count).map(move |_| piece(&mut input)))
    }
}

fn piece(input: &mut impl Read) -> io::Result<Piece> {
    let (mut digest, mut block, mut len) = ([0; Digest::LEN], [0; 4], [0; 4]);
    input.read_exact(&mut digest)?;
    input.read_exact(&mut block)?;
    input.read_exact(&mut len)?;
    Ok(Piece { digest: digest.into(), block: u32::from_le_bytes(block), len: u32::from_le_bytes(len) })
}

/// Hashes what goes through it.
#[derive(Debug)]
struct Hashed<T> {
    of: T,
    hasher: blake3::Hasher,
}

impl<T> Hashed<T> {
    fn of(of: T) -> Self {
        Self { of, hasher: blake3::Hasher::new() }
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.of.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.of.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.of.flush()
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// Another one after each start of the machine (`proc_sys_kernel(5)`).
fn boot_id() -> io::Result<[u8; BOOT_ID_LEN]> {
    let text = fs_err::read("/proc/sys/kernel/random/boot_id")?;
    text.get(..BOOT_ID_LEN).and_then(|id| id.try_into().ok()).ok_or_else(|| io::Error::other("the boot id is no UUID"))
}
