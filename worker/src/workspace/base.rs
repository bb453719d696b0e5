//! `Base`: the version a workspace starts from. Its manifest is read when somebody needs it, which for a mounted workspace
//! that nobody changes is never: such a job asks object storage for nothing.

use std::sync::Arc;

use drydock_domain::{Digest, TenantId};
use drydock_storage::{Manifest, ManifestCache, Storage, StorageError, StoredTree};
use tokio::sync::OnceCell;

/// A version by name; clones share what was read.
#[derive(Clone, Debug)]
pub struct Base {
    tenant: TenantId,
    tree: Digest,
    stored: StoredTree,
    storage: Storage,
    manifests: Arc<ManifestCache>,
    manifest: Arc<OnceCell<Arc<Manifest>>>,
}

impl Base {
    /// The version with this tree, and where that is stored.
    pub fn new(
        storage: &Storage,
        manifests: &Arc<ManifestCache>,
        tenant: TenantId,
        tree: Digest,
        stored: StoredTree,
    ) -> Self {
        Self {
            tenant,
            tree,
            stored,
            storage: storage.clone(),
            manifests: Arc::clone(manifests),
            manifest: Arc::default(),
        }
    }

    /// Whose.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Its tree's name.
    pub const fn tree(&self) -> Digest {
        self.tree
    }

    /// Its manifest, read once.
    ///
    /// # Errors
    /// Object storage, or a damaged object.
    pub async fn manifest(&self) -> Result<&Arc<Manifest>, StorageError> {
        // Boxed: futures of the S3 client are large, and this one is held across many others.
        let read = || Box::pin(self.manifests.get(&self.storage, self.tenant, self.stored.clone()));
        let manifest = self.manifest.get_or_try_init(read).await?;
        if manifest.tree_id() == self.tree {
            return Ok(manifest);
        }
        let what = format!("version with the tree {}", self.tree);
        Err(StorageError::Corrupt { what, reason: "its manifest and delta lead to another tree" })
    }

    /// Has the manifest made ready for looking contents up, for the push that probably follows. Only where it is in memory:
    /// whether it is worth a request, the push knows.
    pub(super) fn read_ahead(&self) {
        let known = self.manifest.get().cloned();
        let Some(manifest) = known.or_else(|| self.manifests.find(self.tenant, &self.stored)) else { return };
        tokio::task::spawn_blocking(move || manifest.index_contents());
    }
}
