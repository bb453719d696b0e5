//! A worker's disk and what a project needs of the fleet: enough to materialize and push, without database and queue.

use std::{path::Path, sync::Arc};

use drydock_domain::{AttemptId, Digest, TenantId};
use drydock_storage::{BoxError, Limits, Manifest, ManifestCache, PackInfo, PackRegistry, Storage};
use drydock_worker::{
    cache::{CacheLimits, CacheMetrics, NodeCache},
    workspace::{Ladder, Materialized, Materializer, PushOptions, Pushed, Rung, Scratch, ScratchRoot, push},
};
use prometheus::{IntCounterVec, Opts, Registry};

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

struct Accept;

impl PackRegistry for Accept {
    async fn uploading(&self, _pack: PackInfo) -> Result<(), BoxError> {
        Ok(())
    }
}

pub(crate) struct Node {
    pub(crate) storage: Storage,
    pub(crate) materializer: Materializer,
    scratch: ScratchRoot,
}

impl Node {
    /// A node that has nothing yet.
    pub(crate) async fn new(directory: &Path, rung: Rung, storage: &Storage) -> Self {
        let directory = directory.join(format!("node-{:08x}", rand::random::<u32>()));
        let scratch = ScratchRoot::open(&directory, 0).unwrap();
        let limits = CacheLimits { max_bytes: u64::MAX, min_free: 0 };
        let metrics = CacheMetrics::register(&Registry::new()).unwrap();
        let cache = NodeCache::open(&directory.join("cache"), limits, storage.clone(), metrics).unwrap();
        let downgrades = IntCounterVec::new(Opts::new("downgrades", "downgrades"), &["rung"]).unwrap();
        let ladder = Ladder::probe(&cache, &scratch, Some(rung), downgrades).await;
        let ladder = ladder.unwrap_or_else(|refused| panic!("rung {rung} is not to be had: {}", refused.reason));
        let manifests = Arc::new(ManifestCache::new(64 << 20, Limits::default()));
        Self { storage: storage.clone(), materializer: Materializer::new(cache, storage.clone(), manifests, ladder), scratch }
    }

    pub(crate) fn scratch(&self) -> Scratch {
        self.scratch.create(AttemptId::generate()).unwrap()
    }

    pub(crate) async fn materialize(&self, version: Digest, scratch: &Scratch) -> Arc<Materialized> {
        self.materializer.materialize(TENANT, Some(version), scratch).await.unwrap().into()
    }

    pub(crate) async fn push(&self, from: &Arc<Materialized>, workspace: &Path, packs: &Path) -> Pushed {
        let options = PushOptions { tenant: TENANT, limits: Limits::default(), packs_dir: packs.to_owned() };
        push(&self.storage, options, from, workspace, &Accept).await.unwrap()
    }

    /// A directory as a version.
    pub(crate) async fn import(&self, directory: &Path) -> Arc<Manifest> {
        let scratch = self.scratch();
        let pushed = self.push(&Arc::new(Materialized::empty()), directory, &scratch.packs()).await;
        scratch.close().await.unwrap();
        pushed.written.unwrap().manifest
    }
}
