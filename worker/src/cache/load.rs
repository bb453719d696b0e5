//! Loading: all contents of a version come to lie in data files of this node.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

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
    /// Places of all pieces, in path order and a file's own in order; devices are indices into `data`.
    pub(crate) extents: Vec<Extent>,
}

/// What is here of a version, and what is not.
struct Looked {
    loaded: Loaded,
    missing: Vec<Part>,
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
        let looked = self.look(tenant, manifest).await?;
        if looked.missing.is_empty() {
            self.inner.metrics.hits.inc();
            return Ok(looked.loaded);
        }
        drop(looked);
        let _flight = self.inner.flights.board((tenant, manifest.tree_id())).await;
        let _turn = self.inner.fetches.acquire().await.map_err(|_| CacheError::Interrupted)?;
        for _ in 0..LOOKS {
            // What was found stays pinned until the whole is.
            let Looked { missing, loaded } = self.look(tenant, manifest).await?;
            if missing.is_empty() {
                return Ok(loaded);
            }
            self.inner.metrics.misses.inc();
            let plan = Plan::of(missing, |part| part.need(manifest));
            let _fetched = Fetch::of(self, tenant, manifest, plan).run().await?;
            let Looked { missing, loaded } = self.look(tenant, manifest).await?;
            if missing.is_empty() {
                return Ok(loaded);
            }
        }
        Err(CacheError::Interrupted)
    }

    async fn look(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Looked, CacheError> {
        let (cache, manifest) = (self.clone(), Arc::clone(manifest));
        let looking = tokio::task::spawn_blocking(move || {
            let now = cache.inner.state.tick();
            let look = || look(&cache.inner.state.lock(), tenant, &manifest, now);
            let looked = look();
            let damaged =
                looked.loaded.data.iter().filter(|data| !data.is_whole()).map(|data| cache.forget(data)).count();
            if damaged == 0 { looked } else { look() }
        });
        looking.await.map_err(|_| CacheError::Interrupted)
    }

    /// Forgets a data file that was cut or taken away behind our back, or that the disk did not take.
    pub(super) fn forget(&self, damaged: &Arc<DataFile>) {
        tracing::error!("a data file of the cache is damaged: its contents are fetched again");
        self.inner.metrics.damaged.inc();
        let mut known = self.inner.state.lock();
        let file = known.files.iter().find(|(_, data)| Arc::ptr_eq(data, damaged)).map(|(file, _)| *file);
        let gone = known.evict_all(&file.into_iter().collect());
        let images: Vec<_> = known.images.extract_if(|_, image| image.uses(damaged)).collect();
        drop(known);
        // Unmounts, without the lock.
        drop((images, gone));
    }
}

fn look(known: &Known, tenant: TenantId, manifest: &Manifest, now: u64) -> Looked {
    let places = known.places(tenant);
    let mut found: Vec<Option<Place>> = Vec::with_capacity(pieces(manifest));
    found.extend(Part::all(manifest).map(|part| places?.get(&part.need(manifest).digest)));
    let sources = sources(&found);
    found.iter_mut().for_each(|place| *place = place.filter(|place| sources.contains(&place.file)));
    let mut missing = Vec::with_capacity(found.iter().filter(|place| place.is_none()).count());
    let mut loaded = Loaded { data: Vec::new(), extents: Vec::with_capacity(found.len() - missing.capacity()) };
    let mut devices: HashMap<u32, u16> = HashMap::new();
    for (part, place) in Part::all(manifest).zip(found) {
        let Some(Place { file, block }) = place else {
            missing.push(part);
            continue;
        };
        let device = *devices.entry(file).or_insert_with(|| {
            let data = &known.files[&file];
            data.touch(now);
            loaded.data.push(Arc::clone(data));
            (loaded.data.len() - 1) as u16
        });
        loaded.extents.push(Extent { device, block });
    }
    Looked { loaded, missing }
}

fn pieces(manifest: &Manifest) -> usize {
    manifest.locations().iter().map(|location| location.blocks().len()).sum()
}

/// The data files to read from. Of very many only those that give most: what the others have is brought together in a new one.
fn sources(found: &[Option<Place>]) -> HashSet<u32> {
    let mut pieces: HashMap<u32, usize> = HashMap::new();
    found.iter().flatten().for_each(|place| *pieces.entry(place.file).or_default() += 1);
    let mut files: Vec<(usize, u32)> = pieces.into_iter().map(|(file, pieces)| (pieces, file)).collect();
    if files.len() > SOURCES_MAX {
        files.sort_unstable_by(|a, b| b.cmp(a));
        files.truncate(SOURCES_MAX / 2);
    }
    files.into_iter().map(|(_, file)| file).collect()
}
