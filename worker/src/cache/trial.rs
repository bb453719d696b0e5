//! A tiny version without an object in storage, for trying out what this node can mount.

use std::{path::Path, sync::Arc};

use drydock_domain::{Digest, Entry, EntryKind, Mode, RelativePath, TenantId, Tree};

use super::{
    CacheError, Loaded, Lower, NodeCache,
    budget::Space,
    data::DataWriter,
    image::{BLOCK, Extent},
};

const DIRECTORY: &str = "directory";
const FILE: &str = "directory/file";
const CONTENT: &[u8] = b"content";

impl NodeCache {
    /// As an image.
    pub(crate) async fn trial_image(&self) -> Result<Arc<dyn Lower>, CacheError> {
        self.trial(|cache| {
            let failed = |error| CacheError::io("write contents", &cache.inner.directory)(error);
            let writer = DataWriter::create(&cache.data_directory(), TenantId::DEFAULT, 1).map_err(failed)?;
            let mut block = CONTENT.to_vec();
            block.resize(BLOCK as usize, 0);
            writer.write(0, &block).map_err(failed)?;
            let data = vec![Arc::new(writer.unnamed())];
            let loaded = Loaded { data, extents: vec![Extent::new(0, 0)] };
            Ok(Arc::new(cache.mounted(&tree()?, loaded, |_| Ok(None))?) as Arc<dyn Lower>)
        })
        .await
    }

    /// As plain files.
    pub(crate) async fn trial_tree(&self) -> Result<Arc<dyn Lower>, CacheError> {
        self.trial(|cache| {
            let fill = |path: &Path| {
                fs_err::create_dir(path.join(DIRECTORY))?;
                fs_err::write(path.join(FILE), CONTENT)
            };
            Ok(cache.copied_tree(Space { bytes: 2 * BLOCK, inodes: 3, pieces: 0 }, fill)? as Arc<dyn Lower>)
        })
        .await
    }

    async fn trial(
        &self,
        make: impl FnOnce(&Self) -> Result<Arc<dyn Lower>, CacheError> + Send + 'static,
    ) -> Result<Arc<dyn Lower>, CacheError> {
        let cache = self.clone();
        tokio::task::spawn_blocking(move || make(&cache)).await.map_err(|_| CacheError::Interrupted)?
    }
}

fn tree() -> Result<Tree, CacheError> {
    let path = |text: &str| RelativePath::new(text).map_err(|_| CacheError::Interrupted);
    let file = EntryKind::File { size: CONTENT.len() as u64, mode: Mode::new(0o644), blob: Digest::of(CONTENT) };
    let entries = vec![
        Entry { path: path(DIRECTORY)?, kind: EntryKind::Dir { mode: Mode::new(0o755) } },
        Entry { path: path(FILE)?, kind: file },
    ];
    Tree::new(entries).map_err(|_| CacheError::Interrupted)
}
