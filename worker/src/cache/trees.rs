//! Trees copied out for the overlay rung: a version as plain files, once on this node, under the workspaces of all jobs that
//! start from it. They cost the disk their size again, so they are the first to go when space is wanted.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use drydock_domain::{Digest, EntryKind, TenantId};
use drydock_files::open_directory;
use drydock_storage::Manifest;

use super::{
    CacheError, Loaded, Lower, NodeCache,
    budget::{Reserved, Space},
    image::BLOCK,
    restore::TREES,
    state::Known,
};
use crate::workspace::remove_tree;

/// Writes a loaded version into an empty directory. Blocking.
pub(crate) type CopyOut = fn(&Arc<Manifest>, &Loaded, &Path) -> io::Result<()>;

/// A tree of plain files; removed when its last user lets go.
#[derive(Debug)]
pub(crate) struct CopiedTree {
    path: PathBuf,
    used: AtomicU64,
    _reserved: Reserved,
}

impl Lower for CopiedTree {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl CopiedTree {
    #[cfg(test)]
    pub(super) const fn reserved(&self) -> u64 {
        self._reserved.bytes()
    }

    /// Removes it at once, when the space is wanted. Blocking.
    pub(super) fn remove(mut self: Arc<Self>) {
        let Some(tree) = Arc::get_mut(&mut self) else { return };
        if remove(&tree.path).is_ok() {
            tree.path = PathBuf::new();
        }
    }
}

impl Drop for CopiedTree {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        if path.as_os_str().is_empty() {
            return;
        }
        // Not on this thread, which may be one that must not block. If no thread can be had, the next start removes it.
        let _later = std::thread::Builder::new().name("cache-drop".to_owned()).spawn(move || {
            if let Err(error) = remove(&path) {
                tracing::warn!(%error, "a tree of the cache could not be removed, left to the next start");
            }
        });
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    let parent = open_directory(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    remove_tree(parent.as_fd(), name).first.map_or(Ok(()), |(_, error)| Err(error))
}

impl NodeCache {
    /// A version as plain files, copied out once.
    pub(crate) async fn tree(
        &self,
        tenant: TenantId,
        manifest: &Arc<Manifest>,
        copy_out: CopyOut,
    ) -> Result<Arc<dyn Lower>, CacheError> {
        if let Some(tree) = self.find_tree(tenant, manifest.tree_id()) {
            return Ok(tree);
        }
        let loaded = self.load(tenant, manifest).await?;
        let key = (tenant, manifest.tree_id());
        let flight = self.inner.flights.board(key).await;
        if let Some(tree) = self.find_tree(tenant, manifest.tree_id()) {
            return Ok(tree);
        }
        let (cache, manifest) = (self.clone(), Arc::clone(manifest));
        let making = tokio::task::spawn_blocking(move || {
            let _until_made = flight;
            let tree = cache.copied_tree(space(&manifest), |path| copy_out(&manifest, &loaded, path))?;
            let before = cache.inner.state.lock().trees.insert(key, Arc::clone(&tree));
            // What gives its space back takes the lock.
            drop(before);
            Ok::<_, CacheError>(tree as Arc<dyn Lower>)
        });
        making.await.map_err(|_| CacheError::Interrupted)?
    }

    /// The version with this tree as plain files, if it is here. Cheap.
    pub(crate) fn find_tree(&self, tenant: TenantId, tree: Digest) -> Option<Arc<dyn Lower>> {
        let now = self.inner.state.tick();
        let tree = Arc::clone(self.inner.state.lock().trees.get(&(tenant, tree))?);
        tree.used.fetch_max(now, Ordering::Relaxed);
        Some(tree)
    }

    /// A directory of the cache, filled.
    pub(super) fn copied_tree(
        &self,
        space: Space,
        fill: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Arc<CopiedTree>, CacheError> {
        let mut reserved = self.reserve(space)?;
        let path = self.inner.directory.join(TREES).join(format!("{:016x}", rand::random::<u64>()));
        fs_err::create_dir(&path).map_err(CacheError::io("create a directory", &path))?;
        let filled = fill(&path);
        reserved.allocated();
        let used = AtomicU64::new(self.inner.state.tick());
        // Made before the result is looked at, so that what was written goes with it.
        let tree = Arc::new(CopiedTree { path, used, _reserved: reserved });
        filled.map_err(CacheError::io("copy a tree", &tree.path))?;
        Ok(tree)
    }
}

/// Takes out the tree that was not wanted for longest of those nobody uses.
pub(super) fn oldest_idle(known: &mut Known) -> Option<Arc<CopiedTree>> {
    let idle = known.trees.iter().filter(|(_, tree)| Arc::strong_count(tree) == 1);
    let oldest = idle.min_by_key(|(_, tree)| tree.used.load(Ordering::Relaxed)).map(|(key, _)| *key);
    oldest.and_then(|key| known.trees.remove(&key))
}

/// About what the file system will take for a version.
fn space(manifest: &Manifest) -> Space {
    let entries = manifest.tree().entries();
    let bytes = entries.iter().map(|entry| match entry.kind {
        EntryKind::File { size, .. } => size.next_multiple_of(BLOCK),
        _ => BLOCK,
    });
    Space { bytes: bytes.sum(), inodes: entries.len() as u64, pieces: 0 }
}
