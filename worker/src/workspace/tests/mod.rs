//! Tests of the workspace, against a real S3 server and a real file system.

mod cleanup;
mod detection;
mod ladder;
mod materializing;
mod memory;
mod oracle;
mod requests;
mod round_trip;
mod scratch;
mod xfs;

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
    // Last, so that everything in it is let go before.
    _disk: TempDir,
}

impl Node {
    /// A new one that takes one rung only.
    fn at(disk: TempDir, rung: Rung, storage: &Storage) -> Self {
        let root = ScratchRoot::open(&disk.path().join("scratch"), 0).unwrap();
        let limits = CacheLimits { max_bytes: u64::MAX, min_free: 0, max_pieces: u64::MAX };
        let metrics = CacheMetrics::register(&Registry::new()).unwrap();
        let cache = NodeCache::open(&disk.path().join("cache"), limits, storage.clone(), metrics).unwrap();
        let manifests = Arc::new(ManifestCache::new(16 << 20, Limits::default()));
        let downgrades = IntCounterVec::new(Opts::new("downgrades", "downgrades"), &["rung"]).unwrap();
        let probing = Ladder::probe(&cache, &root, Some(rung), downgrades);
        let ladder = std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            scope.spawn(move || runtime.block_on(probing)).join().unwrap()
        });
        let materializer = Materializer::new(cache, storage.clone(), manifests, ladder.unwrap());
        Self { materializer, root, _disk: disk }
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
        let node = Node::at(disk, rung, &storage);
        Self {
            storage,
            node,
            packs: tempfile::tempdir().unwrap(),
            announced: Announced::default(),
            inline_max: Delta::INLINE_MAX,
            head: None,
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
        let head = self.head.as_ref()?;
        Some(self.node.materializer.base(TENANT, head.tree_id(), head.stored()))
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
