//! `Stored`: what a push stored, in either form.

use std::sync::Arc;

use drydock_domain::Digest;
use drydock_storage::{Manifest, PackInfo, StorageError, StoredTree, Written, WrittenChanges};

/// A tree that is stored.
#[derive(Clone, Debug)]
pub enum Stored {
    /// All of it, for a workspace that started empty.
    Whole(Written),
    /// As changes to the base version.
    Changes(WrittenChanges),
}

impl Stored {
    /// Its Merkle id.
    pub const fn tree_id(&self) -> Digest {
        match self {
            Self::Whole(written) => written.tree_id,
            Self::Changes(written) => written.tree_id,
        }
    }

    /// What the version's row has to say.
    pub fn stored(&self) -> StoredTree {
        match self {
            Self::Whole(written) => written.manifest_id.into(),
            Self::Changes(written) => written.stored.clone(),
        }
    }

    /// Every pack it needs.
    pub fn packs(&self) -> &[PackInfo] {
        match self {
            Self::Whole(written) => &written.packs,
            Self::Changes(written) => &written.packs,
        }
    }

    /// Files and symlinks, and bytes of all files.
    pub const fn size(&self) -> (u64, u64) {
        match self {
            Self::Whole(written) => (written.file_count, written.total_bytes),
            Self::Changes(written) => (written.file_count, written.total_bytes),
        }
    }

    /// Its manifest. For changes it is made now, in time and memory by the size of the tree.
    pub fn manifest(&self) -> Result<Arc<Manifest>, StorageError> {
        match self {
            Self::Whole(written) => Ok(Arc::clone(&written.manifest)),
            Self::Changes(written) => written.manifest(),
        }
    }
}
