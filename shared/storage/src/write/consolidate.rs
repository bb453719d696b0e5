//! Small packs: each push that does not fit into a row adds one, and reading a version, holding it and collecting it all cost by
//! their number. When there are many, the next push writes what it needs of the smallest ones together into one pack.
//!
//! By whoever pushes rather than in the background, because a push makes a version anyway: no row changes behind the back of
//! those that read it. It comes with every sixteenth push at most and is bounded in bytes; packs of more than 2 MiB on average
//! are left as they are.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Digest, TenantId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
};

use crate::{
    Manifest, Storage, StorageError,
    manifest::{Block, PackRef},
};

/// Packs a version may name before some are written together.
const PACKS_MAX: usize = 64;
/// Bytes written together at once, at most; held in memory.
const BYTES_MAX: u64 = 32 << 20;
/// With fewer that fit, it is not worth the bytes.
const LEAST: usize = 16;
/// Requests at the same time.
const FETCHES: usize = 4;
/// One push of this process at a time: the others leave it to a later one.
static TURN: Semaphore = Semaphore::const_new(1);

/// Packs to be written together, by their index in the base version.
#[derive(Debug)]
pub(super) struct SmallPacks {
    stored: HashMap<u32, Bytes>,
    _turn: SemaphorePermit<'static>,
}

impl SmallPacks {
    /// Fetches them where there are too many. A push does not fail for it: it then leaves them as they are. On a thread that
    /// may block.
    pub(super) fn fetch(storage: &Storage, tenant: TenantId, base: &Arc<Manifest>) -> Option<Self> {
        let chosen = choose(base.packs());
        if chosen.is_empty() {
            return None;
        }
        let turn = TURN.try_acquire().ok()?;
        let fetching = stream::iter(chosen).map(|at| whole(storage, tenant, at, base.packs()[at as usize]));
        let fetched = Box::pin(fetching.buffer_unordered(FETCHES).try_collect());
        match Handle::current().block_on(fetched) {
            Ok(stored) => Some(Self { stored, _turn: turn }),
            Err(error) => {
                tracing::warn!(%error, "small packs stay as they are: one could not be read");
                None
            }
        }
    }

    /// The stored bytes of a block of the base version, if its pack is among these.
    pub(super) fn stored(&self, block: &Block) -> Option<Result<Bytes, StorageError>> {
        let pack = self.stored.get(&block.pack)?;
        let start = block.info.offset as usize;
        let range = start..start + block.info.stored_len as usize;
        let inside = range.end <= pack.len();
        Some(
            inside
                .then(|| pack.slice(range))
                .ok_or_else(|| StorageError::corrupt("pack", "it ends before a block does")),
        )
    }
}

/// The smallest ones, as many as fit.
fn choose(packs: &[PackRef]) -> Vec<u32> {
    if packs.len() <= PACKS_MAX {
        return Vec::new();
    }
    let mut small: Vec<(u64, u32)> =
        (0..).zip(packs).filter(|(_, pack)| !pack.inline).map(|(at, pack)| (pack.bytes, at)).collect();
    small.sort_unstable();
    let mut bytes = 0;
    let fit = small.iter().take_while(|(size, _)| {
        bytes += size;
        bytes <= BYTES_MAX
    });
    let chosen: Vec<u32> = fit.map(|(_, at)| *at).collect();
    if chosen.len() < LEAST { Vec::new() } else { chosen }
}

async fn whole(storage: &Storage, tenant: TenantId, at: u32, pack: PackRef) -> Result<(u32, Bytes), StorageError> {
    let key = storage.keys(tenant).pack(pack.id);
    let stored = Box::pin(storage.get(&key, pack.bytes)).await?;
    if Digest::of(&stored) == pack.id {
        Ok((at, stored))
    } else {
        Err(StorageError::corrupt(key.as_str(), "it does not match its name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(sizes: impl Iterator<Item = u64>) -> Vec<PackRef> {
        sizes.map(|bytes| PackRef { id: Digest::of(&bytes.to_le_bytes()), bytes, inline: false }).collect()
    }

    #[test]
    fn the_smallest_are_chosen_when_there_are_many() {
        assert!(choose(&packs((1..=64).map(|_| 100))).is_empty());
        assert_eq!(choose(&packs((1..=65).map(|_| 100))).len(), 65);
        // 40 of a MiB and 30 of 10: the first 32 fit.
        let sizes = (0..70).map(|at| if at % 7 < 4 { 1 << 20 } else { 10 << 20 });
        let chosen = choose(&packs(sizes));
        assert_eq!(chosen.len(), 32);
        assert!(chosen.iter().all(|at| at % 7 < 4));
    }

    #[test]
    fn big_ones_and_the_one_in_the_delta_are_left() {
        assert!(choose(&packs((0..100).map(|_| 5 << 20))).is_empty());
        let mut with_inline = packs((0..65).map(|_| 100));
        with_inline[64].inline = true;
        assert!(!choose(&with_inline).contains(&64));
    }
}
