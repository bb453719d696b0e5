//! Tests of the workspace, against a real S3 server and a real file system.

mod detection;
mod disk_full;
mod edges;
mod eviction;
mod ignoring;
mod kills;
mod ladder;
mod loop_device;
mod materializing;
mod memory;
mod oracle;
mod requests;
mod round_trip;
mod scratch;
mod storage_faults;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use drydock_domain::{AttemptId, Digest, ObjectKind, TenantId};
use drydock_storage::{BoxError, Delta, Limits, Manifest, ManifestCache, PackInfo, PackRegistry, Storage};
use prometheus::{IntCounterVec, Opts, Registry};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tempfile::TempDir;

use super::{
    Base, Baseline, Ladder, Materialized, Materializer, PushOptions, Pushed, Rung, Scratch, ScratchRoot,
    WorkspaceError, materialize::Detection, push,
};
use crate::cache::{CacheLimits, CacheMetrics, NodeCache};

const TENANT: TenantId = TenantId::DEFAULT;

/// Remembers announced packs.
#[derive(Clone, Default)]
struct Announced(Arc<Mutex<Vec<PackInfo>>>);

impl PackRegistry for Announced {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        if kind == ObjectKind::Pack {
            self.0.lock().unwrap().push(PackInfo { id, bytes, new: true });
        }
        Ok(())
    }
}

/// A worker's disk: scratch, cache and the ways to make workspaces.
struct Node {
    materializer: Materializer,
    root: ScratchRoot,
}

impl Node {
    /// A new one that takes one rung only.
    fn at(disk: &Path, rung: Rung, storage: &Storage) -> Self {
        Self::bounded(disk, rung, storage, u64::MAX)
    }

    /// One whose cache is not to take more than `max_bytes`.
    fn bounded(disk: &Path, rung: Rung, storage: &Storage, max_bytes: u64) -> Self {
        let root = ScratchRoot::open(&disk.join("scratch"), 0).unwrap();
        let limits = CacheLimits { max_bytes, min_free: 0, max_pieces: u64::MAX };
        let metrics = CacheMetrics::register(&Registry::new()).unwrap();
        let cache = NodeCache::open(&disk.join("cache"), limits, storage.clone(), metrics).unwrap();
        let manifests = Arc::new(ManifestCache::new(16 << 20, Limits::default()));
        let downgrades = IntCounterVec::new(Opts::new("downgrades", "downgrades"), &["rung"]).unwrap();
        let probing = Ladder::probe(&cache, &root, Some(rung), downgrades);
        let ladder = std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            scope.spawn(move || runtime.block_on(probing)).join().unwrap()
        });
        let materializer = Materializer::new(cache, storage.clone(), manifests, ladder.unwrap());
        Self { materializer, root }
    }

    fn base(&self, version: &Manifest) -> Base {
        self.materializer.base(TENANT, version.tree_id(), version.stored())
    }

    /// A version in a new workspace; where that fails, nothing of it stays.
    async fn materialize(&self, version: &Manifest) -> Result<Workspace, WorkspaceError> {
        let scratch = self.root.create(AttemptId::generate())?;
        match Box::pin(self.materializer.materialize(Some(self.base(version)), &scratch)).await {
            Ok(materialized) => Ok(Workspace { materialized: Arc::new(materialized), scratch }),
            Err(error) => {
                scratch.close().await?;
                Err(error)
            }
        }
    }

    /// Panics unless nobody uses anything and nothing is left of those who did.
    async fn assert_clean(&self) {
        assert_eq!(scratch::entries(self.root.path()), [""; 0]);
        self.materializer.cache().audit().await;
    }
}

/// A workspace of an attempt.
struct Workspace {
    materialized: Arc<Materialized>,
    scratch: Scratch,
}

impl Workspace {
    fn path(&self) -> &Path {
        self.scratch.workspace()
    }

    fn how(&self) -> How {
        Some(Arc::clone(&self.materialized))
    }
}

/// How a directory came to be a version; `None` for one that nothing is known of.
type How = Option<Arc<Materialized>>;

/// A project without database and queue: its versions one after the other.
struct Project {
    storage: Storage,
    node: Node,
    packs: TempDir,
    announced: Announced,
    inline_max: usize,
    head: Option<Arc<Manifest>>,
    // Last, so that everything in it is let go before.
    _disk: TempDir,
}

impl Project {
    fn new() -> Self {
        Self::on(Rung::Copy)
    }

    fn on(rung: Rung) -> Self {
        Self::at(tempfile::tempdir().unwrap(), rung)
    }

    /// With scratch and cache in a directory of its own.
    fn at(disk: TempDir, rung: Rung) -> Self {
        Self::over(drydock_testing::storage(&drydock_testing::storage_config()), disk, rung)
    }

    fn over(storage: Storage, disk: TempDir, rung: Rung) -> Self {
        let node = Node::at(disk.path(), rung, &storage);
        Self {
            storage,
            node,
            packs: tempfile::tempdir().unwrap(),
            announced: Announced::default(),
            inline_max: Delta::INLINE_MAX,
            head: None,
            _disk: disk,
        }
    }

    /// The head in a new workspace.
    async fn materialize(&self) -> Result<Workspace, WorkspaceError> {
        let scratch = self.node.root.create(AttemptId::generate())?;
        let materialized = Box::pin(self.node.materializer.materialize(self.base(), &scratch)).await?.into();
        Ok(Workspace { materialized, scratch })
    }

    async fn push(&self, directory: &Path, how: How) -> Result<Pushed, WorkspaceError> {
        let how = how.unwrap_or_else(|| self.proven(Baseline::untrusted()));
        Box::pin(push(&self.storage, self.options(), &how, directory, &self.announced)).await
    }

    fn base(&self) -> Option<Base> {
        self.head.as_ref().map(|head| self.node.base(head))
    }

    /// The head, as far as a baseline proves it.
    fn proven(&self, baseline: Baseline) -> Arc<Materialized> {
        Arc::new(Materialized { base: self.base(), rung: None, detection: Detection::Walk(baseline) })
    }

    /// Pushes and moves the head.
    async fn commit(&mut self, directory: &Path, how: How) -> Pushed {
        let pushed = self.push(directory, how).await.unwrap();
        if let Some(written) = &pushed.written {
            self.head = Some(written.manifest().unwrap());
        }
        pushed
    }

    fn options(&self) -> PushOptions {
        PushOptions {
            tenant: TENANT,
            limits: Limits::default(),
            packs_dir: self.packs.path().to_owned(),
            inline_max: self.inline_max,
        }
    }
}

/// Runs `work` without the rights by which root ignores modes, as the worker does where it is no root.
fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}
