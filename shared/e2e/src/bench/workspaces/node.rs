//! A worker's disk and what a project needs of the fleet: enough to materialize and push, without database and queue.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use drydock_domain::{AttemptId, Digest, ObjectKind, TenantId};
use drydock_storage::{BoxError, Delta, Limits, Manifest, ManifestCache, PackRegistry, Storage, StoredTree};
use drydock_worker::{
    cache::{CacheLimits, CacheMetrics, NodeCache},
    workspace::{Ladder, Materialized, Materializer, PushOptions, Pushed, Rung, Scratch, ScratchRoot, push},
};
use prometheus::{IntCounterVec, Opts, Registry};

const TENANT: TenantId = TenantId::DEFAULT;

struct Accept;

impl PackRegistry for Accept {
    async fn uploading(&self, _: ObjectKind, _: Digest, _: u64) -> Result<(), BoxError> {
        Ok(())
    }
}

pub(super) struct Node {
    pub(super) storage: Storage,
    pub(super) materializer: Materializer,
    scratch: ScratchRoot,
}

impl Node {
    /// A node that has nothing yet.
    pub(super) async fn new(directory: &Path, rung: Rung, storage: &Storage) -> Result<Self> {
        Self::at(&directory.join(format!("node-{:08x}", rand::random::<u32>())), rung, storage).await
    }

    /// A node on a directory that another one may have had before.
    pub(super) async fn at(directory: &Path, rung: Rung, storage: &Storage) -> Result<Self> {
        let scratch = ScratchRoot::open(directory, 0)?;
        let limits = CacheLimits { max_bytes: u64::MAX, min_free: 0, max_pieces: u64::MAX };
        let metrics = CacheMetrics::register(&Registry::new())?;
        let cache = NodeCache::open(&directory.join("cache"), limits, storage.clone(), metrics)?;
        let downgrades = IntCounterVec::new(Opts::new("downgrades", "downgrades"), &["rung"])?;
        let ladder = Ladder::probe(&cache, &scratch, Some(rung), downgrades).await;
        let ladder = ladder.map_err(|refused| anyhow!("rung {rung} is not to be had here: {}", refused.reason))?;
        let manifests = Arc::new(ManifestCache::new(32 << 20, Limits::default()));
        let materializer = Materializer::new(cache, storage.clone(), manifests, ladder);
        Ok(Self { storage: storage.clone(), materializer, scratch })
    }

    pub(super) fn scratch(&self) -> Result<Scratch> {
        Ok(self.scratch.create(AttemptId::generate())?)
    }

    pub(super) async fn materialize(
        &self,
        tree: Digest,
        stored: StoredTree,
        scratch: &Scratch,
    ) -> Result<Arc<Materialized>> {
        let base = self.materializer.base(TENANT, tree, stored);
        Ok(Box::pin(self.materializer.materialize(Some(base), scratch)).await?.into())
    }

    pub(super) async fn push(&self, from: &Arc<Materialized>, workspace: &Path, scratch: &Scratch) -> Result<Pushed> {
        let options = PushOptions {
            tenant: TENANT,
            limits: Limits::default(),
            packs_dir: scratch.packs(),
            inline_max: Delta::INLINE_MAX,
        };
        Ok(Box::pin(push(&self.storage, options, from, workspace, &Accept)).await?)
    }

    /// Gets a version that was just stored ready for the next job, as a worker does.
    pub(super) async fn prepare(&self, pushed: Pushed) -> Result<()> {
        let written = pushed.written.context("nothing was changed")?;
        Ok(Box::pin(self.materializer.prepare(TENANT, written)).await?)
    }

    /// A directory as a version.
    pub(super) async fn import(&self, directory: &Path) -> Result<Arc<Manifest>> {
        let scratch = self.scratch()?;
        let pushed = self.push(&Arc::new(Materialized::empty()), directory, &scratch).await?;
        scratch.close().await?;
        Ok(pushed.written.context("the tree is empty")?.manifest()?)
    }
}
