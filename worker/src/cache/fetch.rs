//! Fetching: ranged GETs, several at a time, each decoded, verified and written on a blocking thread as one batch. Memory
//! is bounded by the stored bytes in flight, not by the tree; requests by what object storage bears (see transfers.rs).

use std::{io, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Digest, TenantId};
use drydock_storage::{Manifest, StorageError, decode_block, read_pack_once};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    CacheError, Inner, NodeCache,
    budget::{Reserved, Space},
    data::{DataFile, DataWriter},
    image::BLOCK,
    plan::{Placed, Plan, Span, by_block, spans},
    progress::Meter,
    transfers,
};
use crate::kill_point::{KillPoint, pass};

/// KiB of memory for all requests under way on this node: what they bring, and the block being decoded.
pub(super) const MEMORY_KIB: u32 = 16 << 10;

/// One new data file being filled.
pub(super) struct Fetch<'c> {
    cache: &'c NodeCache,
    tenant: TenantId,
    manifest: Arc<Manifest>,
    plan: Plan,
}

/// What the blocking side works with.
struct Filling {
    manifest: Arc<Manifest>,
    writer: DataWriter,
    pieces: Vec<Placed>,
    meter: Meter,
}

impl<'c> Fetch<'c> {
    pub(super) fn of(cache: &'c NodeCache, tenant: TenantId, manifest: &Arc<Manifest>, plan: Plan) -> Self {
        Self { cache, tenant, manifest: Arc::clone(manifest), plan }
    }

    /// Fetches all of it; the data file is the cache's afterwards, and pinned by the answer.
    pub(super) async fn run(self) -> Result<Arc<DataFile>, CacheError> {
        let Self { cache, tenant, manifest, plan } = self;
        let (reserved, writer) = blocking({
            let (cache, blocks, pieces) = (cache.clone(), plan.blocks, plan.pieces.len() as u64);
            move || cache.begin(tenant, blocks, pieces)
        })
        .await?;
        let spans = spans(&manifest, &plan.pieces);
        let meter = cache.meter((tenant, manifest.tree_id()), bytes(&manifest, &plan.pieces));
        let filling = Arc::new(Filling { manifest, writer, pieces: plan.pieces, meter });
        stream::iter(spans)
            .map(|span| bring(cache, tenant, &filling, span))
            .buffer_unordered(transfers::MAX as usize)
            .try_collect::<()>()
            .await?;
        let filled = Arc::into_inner(filling).ok_or(CacheError::Interrupted)?;
        let cache = cache.clone();
        blocking(move || cache.take(filled, reserved)).await
    }
}

impl NodeCache {
    /// Reserves the space of a new data file.
    fn begin(&self, tenant: TenantId, blocks: u32, pieces: u64) -> Result<(Reserved, DataWriter), CacheError> {
        let directory = self.data_directory();
        let mut reserved = self.reserve(Space { bytes: u64::from(blocks) * BLOCK, pieces, inodes: 2 })?;
        let writer = DataWriter::create(&directory, tenant, blocks);
        let writer = writer.map_err(CacheError::io("reserve space", &directory))?;
        reserved.allocated();
        Ok((reserved, writer))
    }

    /// Takes a data file in that was filled.
    fn take(&self, filled: Filling, reserved: Reserved) -> Result<Arc<DataFile>, CacheError> {
        pass(KillPoint::Filled);
        let Filling { writer, pieces, manifest, .. } = filled;
        let pieces = || pieces.iter().map(|piece| piece.whole(&manifest));
        let data = writer.finish(pieces()).map_err(CacheError::io("write an index", self.data_directory()))?;
        let mut known = self.inner.state.lock();
        let (file, data) = known.add(data);
        known.place(file, pieces());
        drop(known);
        reserved.keep();
        self.inner.syncing.send(data.unsynced());
        Ok(data)
    }
}

async fn bring(cache: &NodeCache, tenant: TenantId, filling: &Arc<Filling>, span: Span) -> Result<(), CacheError> {
    let pack = filling.manifest.packs()[span.pack as usize].id;
    let memory = filling.memory_kib(&span).min(MEMORY_KIB);
    let _memory = cache.inner.memory.acquire_many(memory).await.map_err(|_| CacheError::Interrupted)?;
    let mut again = true;
    loop {
        match bring_once(cache, tenant, filling, &span, pack).await {
            // Damaged on its way, perhaps: asked for once more.
            Err(CacheError::Storage(StorageError::Corrupt { what, reason })) if again => {
                again = false;
                cache.inner.metrics.refetched.inc();
                tracing::warn!(what, "fetched contents are damaged ({reason}), fetching them again");
            }
            brought => return brought,
        }
    }
}

async fn bring_once(
    cache: &NodeCache,
    tenant: TenantId,
    filling: &Arc<Filling>,
    span: &Span,
    pack: Digest,
) -> Result<(), CacheError> {
    let stored = fetch(cache, tenant, &filling.manifest, span).await?;
    let (filling, pieces, start) = (Arc::clone(filling), span.pieces.clone(), span.start);
    let _turn = cache.inner.decoding.acquire().await.map_err(|_| CacheError::Interrupted)?;
    blocking(move || filling.write(pack, start, &stored, pieces)).await
}

/// One range, asked for again while that may help; between two tries another request has the turn.
async fn fetch(cache: &NodeCache, tenant: TenantId, manifest: &Manifest, span: &Span) -> Result<Bytes, CacheError> {
    let Inner { storage, transfers, .. } = &*cache.inner;
    let request = || async {
        let turn = transfers.turn().await.ok_or(StorageError::Interrupted)?;
        let result = read_pack_once(storage, tenant, manifest, span.pack, span.start..span.end).await;
        turn.ended(&result);
        result
    };
    Ok(storage.retry_get(request).await?)
}

impl Filling {
    fn memory_kib(&self, span: &Span) -> u32 {
        let blocks = by_block(&self.manifest, &self.pieces[span.pieces.clone()])
            .map(|(block, _)| self.manifest.blocks()[block as usize]);
        let decoded = blocks.map(|block| u64::from(block.info.raw_len)).max().unwrap_or_default();
        // A solid block is there twice, as it is and padded.
        u32::try_from((span.end - span.start + 2 * decoded).div_ceil(1024)).unwrap_or(u32::MAX)
    }

    /// Decodes the blocks of a span and writes their pieces, each block's with one call.
    fn write(
        &self,
        pack: Digest,
        start: u64,
        stored: &Bytes,
        pieces: std::ops::Range<usize>,
    ) -> Result<(), CacheError> {
        let mut padded = Vec::new();
        let brought = bytes(&self.manifest, &self.pieces[pieces.clone()]);
        for (block, of_block) in by_block(&self.manifest, &self.pieces[pieces]) {
            let block = &self.manifest.blocks()[block as usize];
            let from = (u64::from(block.info.offset) - start) as usize;
            let raw = decode_block(block, &stored[from..from + block.info.stored_len as usize], pack)?;
            let written = if block.chunk.is_some() {
                // Its hash was checked with the block.
                self.write_padded(of_block, raw)
            } else {
                padded.clear();
                for piece in of_block {
                    let need = piece.part.need(&self.manifest);
                    let content = &raw[need.offset as usize..(need.offset + need.len) as usize];
                    if Digest::of(content) != need.digest {
                        let what = format!("a file in pack {pack}");
                        return Err(
                            StorageError::Corrupt { what, reason: "its content does not match its hash" }.into()
                        );
                    }
                    padded.extend_from_slice(content);
                    padded.resize(padded.len().next_multiple_of(BLOCK as usize), 0);
                }
                self.writer.write(of_block[0].at, &padded)
            };
            written.map_err(CacheError::io("write contents", "data"))?;
        }
        self.meter.add(brought);
        Ok(())
    }

    /// A chunk, at each of its places: one, unless hashes of others begin as its own does (see [`Plan::of`]).
    fn write_padded(&self, places: &[Placed], mut raw: Vec<u8>) -> io::Result<()> {
        raw.resize(raw.len().next_multiple_of(BLOCK as usize), 0);
        places.iter().try_for_each(|place| self.writer.write(place.at, &raw))
    }
}

fn bytes(manifest: &Manifest, pieces: &[Placed]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.part.need(manifest).len)).sum()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CacheError::Interrupted)?
}
