//! Materializing: a version becomes files in the workspace of an attempt, by the best rung this node allows.
//!
//! Owns the order of the rungs and what happens when one fails: the next is taken, and the reason is said. Every rung
//! gives the same bytes, modes and links, whatever the umask is.

mod fill;
mod ladder;
mod layer;
mod rung;
mod target;

use std::sync::Arc;

use drydock_domain::{Digest, TenantId};
use drydock_storage::{ManifestCache, Storage, StoredTree};
use tokio::sync::Semaphore;

pub(super) use self::layer::Layer;
pub use self::{
    ladder::{Ladder, Refused},
    rung::Rung,
};
use super::{Base, Baseline, Scratch, Stored, WorkspaceError};
use crate::cache::NodeCache;

/// A workspace that is its base version, and how to tell what becomes of it.
#[derive(Debug)]
pub struct Materialized {
    /// The version it is; `None` for the empty one.
    pub base: Option<Base>,
    /// How it got there; `None` where there was nothing to bring.
    pub rung: Option<Rung>,
    pub(super) detection: Detection,
}

impl Materialized {
    /// An empty directory.
    pub fn empty() -> Self {
        Self { base: None, rung: None, detection: Detection::Walk(Baseline::untrusted()) }
    }
}

/// How changes will be found.
#[derive(Debug)]
pub(super) enum Detection {
    /// By a walk, with what files looked like before.
    Walk(Baseline),
    /// They lie in a layer of their own.
    Layer(Layer),
}

/// Makes workspaces; cheap to clone.
#[derive(Clone, Debug)]
pub struct Materializer {
    cache: NodeCache,
    storage: Storage,
    manifests: Arc<ManifestCache>,
    ladder: Arc<Ladder>,
    /// One version is prepared at a time: jobs come first.
    preparing: Arc<Semaphore>,
}

impl Materializer {
    /// One that takes the rungs `ladder` found.
    pub fn new(cache: NodeCache, storage: Storage, manifests: Arc<ManifestCache>, ladder: Ladder) -> Self {
        Self { cache, storage, manifests, ladder: Arc::new(ladder), preparing: Arc::new(Semaphore::new(1)) }
    }

    /// The rungs, and those that were refused.
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// The node's cache.
    pub const fn cache(&self) -> &NodeCache {
        &self.cache
    }

    /// A version by its tree and where that is stored.
    pub fn base(&self, tenant: TenantId, tree: Digest, stored: StoredTree) -> Base {
        Base::new(&self.storage, &self.manifests, tenant, tree, stored)
    }

    /// Gets a version that was just stored ready for the job that comes next, so that it only has to be mounted. In vain
    /// when that job goes elsewhere.
    ///
    /// # Errors
    /// As [`Self::materialize`].
    pub async fn prepare(&self, tenant: TenantId, written: Stored) -> Result<(), WorkspaceError> {
        let _turn = self.preparing.acquire().await.map_err(|_| WorkspaceError::Interrupted)?;
        let manifest = blocking(move || Ok(written.manifest()?)).await?;
        self.manifests.insert(tenant, Arc::clone(&manifest));
        Box::pin(self.ladder.best().prepare(&self.cache, tenant, &manifest)).await
    }

    /// Gets a version ready for a job that may come. In vain when that goes elsewhere.
    ///
    /// # Errors
    /// As [`Self::materialize`].
    pub async fn fetch_ahead(&self, base: &Base) -> Result<(), WorkspaceError> {
        // Without a turn of those that prepare: this may take long, and what was just made here is wanted sooner.
        let manifest = base.manifest().await?;
        Box::pin(self.ladder.best().prepare(&self.cache, base.tenant(), manifest)).await
    }

    /// Fills the fresh workspace of `scratch` with a version; without one, it stays empty.
    ///
    /// # Errors
    /// Object storage, damaged objects, the disk. A rung that is refused is no error while there is another.
    pub async fn materialize(&self, base: Option<Base>, scratch: &Scratch) -> Result<Materialized, WorkspaceError> {
        let Some(base) = base else {
            return Ok(Materialized::empty());
        };
        let mut rungs = self.ladder.rungs().peekable();
        while let Some(rung) = rungs.next() {
            // Boxed: a future of the S3 client is large, and this one holds several.
            match Box::pin(rung.make(&self.cache, &base, scratch)).await {
                Err(error) if rungs.peek().is_some() && error.is_the_rungs() => self.ladder.stumbled(rung, &error),
                made => return Ok(Materialized { detection: made?, base: Some(base), rung: Some(rung) }),
            }
        }
        Err(WorkspaceError::Interrupted)
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WorkspaceError::Interrupted)?
}
