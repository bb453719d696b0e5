//! Loading: all contents of a version come to lie in data files of this node.

use std::{collections::HashMap, sync::Arc};

use drydock_domain::TenantId;
use drydock_storage::Manifest;

use super::{
    CacheError, NodeCache,
    data::DataFile,
    fetch::Fetch,
    image::Extent,
    plan::{Need, needs, place},
    state::{Known, Place},
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
    missing: Vec<Need>,
}

impl NodeCache {
    /// Brings what is missing of a version; who asks for one that is being brought waits for that.
    pub(crate) async fn load(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Loaded, CacheError> {
        let looked = self.look(tenant, manifest).await?;
        if looked.missing.is_empty() {
            self.inner.metrics.hits.inc();
            return Ok(looked.loaded);
        }
        let _flight = self.inner.flights.board((tenant, manifest.tree_id())).await;
        let _turn = self.inner.fetches.acquire().await.map_err(|_| CacheError::Interrupted)?;
        // What was found stays pinned until the whole is.
        let Looked { missing, loaded: _found } = self.look(tenant, manifest).await?;
        if !missing.is_empty() {
            self.inner.metrics.misses.inc();
            let fetched = Fetch::of(self, tenant, manifest, place(missing)).run().await?;
            let looked = self.look(tenant, manifest).await?;
            drop(fetched);
            return if looked.missing.is_empty() { Ok(looked.loaded) } else { Err(CacheError::Interrupted) };
        }
        Ok(_found)
    }

    async fn look(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Looked, CacheError> {
        let (cache, manifest) = (self.clone(), Arc::clone(manifest));
        let looking = tokio::task::spawn_blocking(move || {
            let now = cache.inner.state.tick();
            cache.drop_damaged();
            look(&cache.inner.state.lock(), tenant, &manifest, now)
        });
        looking.await.map_err(|_| CacheError::Interrupted)
    }

    /// Forgets data files that were cut or taken away behind our back.
    fn drop_damaged(&self) {
        let mut known = self.inner.state.lock();
        let damaged: Vec<u32> =
            known.files.iter().filter(|(_, data)| !data.is_whole()).map(|(file, _)| *file).collect();
        for file in damaged {
            tracing::error!("a data file of the cache was damaged by somebody else: its contents are fetched again");
            self.inner.metrics.damaged.inc();
            let data = known.evict(file);
            known.images.retain(|_, image| data.as_ref().is_none_or(|data| !image.uses(data)));
        }
    }
}

fn look(known: &Known, tenant: TenantId, manifest: &Manifest, now: u64) -> Looked {
    let places = known.places(tenant);
    let mut loaded = Loaded { data: Vec::new(), extents: Vec::new() };
    let mut devices: HashMap<u32, u16> = HashMap::new();
    let mut missing = Vec::new();
    for need in needs(manifest) {
        match places.and_then(|places| places.get(&need.digest)) {
            Some(&Place { file, block }) => {
                let device = *devices.entry(file).or_insert_with(|| {
                    let data = &known.files[&file];
                    data.touch(now);
                    loaded.data.push(Arc::clone(data));
                    (loaded.data.len() - 1) as u16
                });
                loaded.extents.push(Extent { device, block });
            }
            None => missing.push(need),
        }
    }
    Looked { loaded, missing }
}
