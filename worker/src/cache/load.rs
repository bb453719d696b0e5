//! Loading: all contents of a version come to lie in data files of this node.

use std::{collections::HashMap, sync::Arc};

use drydock_domain::TenantId;
use drydock_storage::Manifest;

use super::{
    CacheError, NodeCache,
    data::DataFile,
    fetch::Fetch,
    image::Extent,
    places::Place,
    plan::{Part, Plan},
    state::Known,
};

/// A version whose contents are all here, and stay while this is held.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The data files they lie in.
    pub(crate) data: Vec<Arc<DataFile>>,
    /// Places of all pieces, in path order and a file's own in order.
    pub(crate) extents: Vec<Extent>,
}

/// What is here of a version, which stays while this is held.
#[derive(Default)]
struct Looked {
    data: Vec<Arc<DataFile>>,
    /// Of all pieces; none of those that are missing.
    extents: Vec<Option<Extent>>,
}

/// Data files that one tree is read from, at most.
const SOURCES_MAX: usize = 256;
/// Looks before a tree that keeps losing contents is given up.
const LOOKS: usize = 3;

impl NodeCache {
    /// Brings what is missing of a version; who asks for one that is being brought waits for that.
    pub(crate) async fn load(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Loaded, CacheError> {
        let loaded = self.found_or_fetched(tenant, manifest).await?;
        self.remember(tenant, manifest.tree_id(), &loaded.data);
        Ok(loaded)
    }

    async fn found_or_fetched(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Loaded, CacheError> {
        let key = (tenant, manifest.tree_id());
        let flight = self.inner.flights.try_board(key);
        let mut looked = self.look(tenant, manifest, Looked::default()).await?;
        if looked.is_whole() {
            self.inner.metrics.hits.inc();
            return Ok(looked.loaded());
        }
        let _flight = match flight {
            Some(flight) => flight,
            None => {
                // Who waits pins nothing.
                drop(std::mem::take(&mut looked));
                let flight = self.inner.flights.board(key).await;
                looked = self.look(tenant, manifest, looked).await?;
                if looked.is_whole() {
                    // What the one before brought takes no turn to use.
                    return Ok(looked.loaded());
                }
                flight
            }
        };
        let _turn = match self.inner.fetches.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                drop(std::mem::take(&mut looked));
                let turn = self.inner.fetches.acquire().await.map_err(|_| CacheError::Interrupted)?;
                looked = self.look(tenant, manifest, looked).await?;
                turn
            }
        };
        for _ in 0..LOOKS {
            if looked.is_whole() {
                return Ok(looked.loaded());
            }
            self.inner.metrics.misses.inc();
            let plan = Plan::of(looked.missing(manifest), |part| part.need(manifest));
            let _fetched = Fetch::of(self, tenant, manifest, plan).run().await?;
            looked = self.look(tenant, manifest, looked).await?;
        }
        if looked.is_whole() { Ok(looked.loaded()) } else { Err(CacheError::Interrupted) }
    }

    /// Looks for what was not found yet; anew for everything, if some of it turns out to be damaged.
    async fn look(&self, tenant: TenantId, manifest: &Arc<Manifest>, mut looked: Looked) -> Result<Looked, CacheError> {
        let (cache, manifest) = (self.clone(), Arc::clone(manifest));
        let looking = tokio::task::spawn_blocking(move || {
            let now = cache.inner.state.tick();
            looked.look(&cache.inner.state.lock(), tenant, &manifest, now);
            let damaged = looked.data.iter().filter(|data| !data.is_whole()).map(|data| cache.forget(data)).count();
            if damaged > 0 {
                let kept = std::mem::take(&mut looked);
                looked.look(&cache.inner.state.lock(), tenant, &manifest, now);
                drop(kept);
            }
            looked
        });
        looking.await.map_err(|_| CacheError::Interrupted)
    }

    /// Forgets a data file that was cut or taken away behind our back, or that the disk did not take.
    pub(super) fn forget(&self, damaged: &Arc<DataFile>) {
        let mut known = self.inner.state.lock();
        let file = known.files.iter().find(|(_, data)| Arc::ptr_eq(data, damaged)).map(|(file, _)| *file);
        if file.is_some() {
            tracing::error!("a data file of the cache is damaged: its contents are fetched again");
            self.inner.metrics.damaged.inc();
        }
        let gone = known.evict_all(&file.into_iter().collect());
        let images: Vec<_> = known.images.extract_if(|_, image| image.uses(damaged)).collect();
        drop(known);
        // Unmounts, without the lock.
        drop((images, gone));
    }
}

impl Looked {
    /// Finds what it has not found yet.
    fn look(&mut self, known: &Known, tenant: TenantId, manifest: &Manifest, now: u64) {
        self.extents.resize(pieces(manifest), None);
        self.data.iter().for_each(|data| data.touch(now));
        let Some(places) = known.places(tenant) else { return };
        let missing = || Part::all(manifest).zip(&self.extents).filter(|(_, extent)| extent.is_none());
        let mut found = Vec::with_capacity(missing().count());
        found.extend(missing().map(|(part, _)| places.get(&part.need(manifest).digest)));
        let mut devices = HashMap::new();
        for file in sources(&found) {
            let data = &known.files[&file];
            data.touch(now);
            let there = self.data.iter().position(|there| Arc::ptr_eq(there, data)).unwrap_or(self.data.len());
            if there == self.data.len() {
                self.data.push(Arc::clone(data));
            }
            devices.insert(file, there as u16);
        }
        // What comes one after the other lies in the same file most of the time.
        let mut last = None;
        let mut device = |file: u32| match last {
            Some((same, device)) if same == file => device,
            _ => {
                let device = devices.get(&file).copied();
                last = Some((file, device));
                device
            }
        };
        let missing = self.extents.iter_mut().filter(|extent| extent.is_none());
        for (extent, place) in missing.zip(found) {
            *extent = place.and_then(|Place { file, block }| Some(Extent::new(device(file)?, block)));
        }
    }

    fn is_whole(&self) -> bool {
        self.extents.iter().all(Option::is_some)
    }

    fn missing(&self, manifest: &Manifest) -> Vec<Part> {
        let missing = || Part::all(manifest).zip(&self.extents).filter(|(_, extent)| extent.is_none());
        let mut parts = Vec::with_capacity(missing().count());
        parts.extend(missing().map(|(part, _)| part));
        parts
    }

    /// What was found; all of it, if it [is whole](Self::is_whole).
    fn loaded(self) -> Loaded {
        Loaded { data: self.data, extents: self.extents.into_iter().flatten().collect() }
    }
}

fn pieces(manifest: &Manifest) -> usize {
    manifest.locations().iter().map(|location| location.blocks().len()).sum()
}

/// The data files to read from. Of very many only those that give most: what the others have is brought together in a new one.
fn sources(found: &[Option<Place>]) -> Vec<u32> {
    let mut pieces: HashMap<u32, usize> = HashMap::new();
    for run in found.chunk_by(|one, next| one.map(|place| place.file) == next.map(|place| place.file)) {
        if let Some(place) = run[0] {
            *pieces.entry(place.file).or_default() += run.len();
        }
    }
    let mut files: Vec<(usize, u32)> = pieces.into_iter().map(|(file, pieces)| (pieces, file)).collect();
    if files.len() > SOURCES_MAX {
        files.sort_unstable_by(|a, b| b.cmp(a));
        files.truncate(SOURCES_MAX / 2);
    }
    files.into_iter().map(|(_, file)| file).collect()
}
