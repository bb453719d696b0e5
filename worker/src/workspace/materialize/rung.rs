//! `Rung`: the ways to get a version into a workspace, the best first.

use std::sync::Arc;

use drydock_domain::TenantId;
use drydock_storage::Manifest;

use super::{Detection, blocking, fill, layer};
use crate::{
    cache::NodeCache,
    workspace::{Base, Scratch, WorkspaceError},
};

/// A way to materialize. All are correct; they differ in what they need and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Rung {
    /// An overlay over an EROFS image of the tree, whose contents are the cache's data files. Needs the right to mount
    /// and Linux 6.12; costs one mount whatever the tree.
    Erofs,
    /// An overlay over a copy of the tree in the cache. Needs the right to mount; the first use of a tree on a node
    /// copies it.
    Overlay,
    /// Files that share their blocks with the cache until they are written to. Needs a file system that can (XFS, Btrfs)
    /// under both cache and scratch.
    Reflink,
    /// Copies. Needs nothing.
    Copy,
}

impl Rung {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Erofs, Self::Overlay, Self::Reflink, Self::Copy];

    /// The label in metrics, rows and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Overlay => "overlay",
            Self::Reflink => "reflink",
            Self::Copy => "copy",
        }
    }

    /// Makes the workspace of `scratch` the version `base`.
    pub(super) async fn make(
        self,
        cache: &NodeCache,
        base: &Base,
        scratch: &Scratch,
    ) -> Result<Detection, WorkspaceError> {
        match self {
            Self::Erofs => {
                let image = match cache.find_image(base.tenant(), base.tree()) {
                    Some(image) => image,
                    None => cache.image(base.tenant(), base.manifest().await?).await?,
                };
                base.read_ahead();
                layer::mount(scratch, image).await.map(Detection::Layer)
            }
            Self::Overlay => {
                let tree = match cache.find_tree(base.tenant(), base.tree()) {
                    Some(tree) => tree,
                    None => cache.tree(base.tenant(), base.manifest().await?, fill::copy_out).await?,
                };
                base.read_ahead();
                layer::mount(scratch, tree).await.map(Detection::Layer)
            }
            // Copying shares blocks by itself where the file system can.
            Self::Reflink | Self::Copy => {
                let manifest = Arc::clone(base.manifest().await?);
                let loaded = cache.load(base.tenant(), &manifest).await?;
                let (workspace, door) = (scratch.workspace().to_owned(), scratch.door());
                let filling = blocking(move || {
                    let _inside = door.enter()?;
                    fill::fill(&manifest, &loaded, &workspace)
                });
                filling.await.map(Detection::Walk)
            }
        }
    }

    /// Has everything ready for [`Self::make`].
    pub(super) async fn prepare(
        self,
        cache: &NodeCache,
        tenant: TenantId,
        manifest: &Arc<Manifest>,
    ) -> Result<(), WorkspaceError> {
        match self {
            Self::Erofs => cache.image(tenant, manifest).await.map(drop)?,
            Self::Overlay => cache.tree(tenant, manifest, fill::copy_out).await.map(drop)?,
            Self::Reflink | Self::Copy => cache.load(tenant, manifest).await.map(drop)?,
        }
        Ok(())
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
