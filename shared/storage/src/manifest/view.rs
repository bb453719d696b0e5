//! A base manifest with a delta applied: the view of the version that readers get.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use drydock_domain::{
    Digest, Tree,
    tree::{Merged, merge},
};

use super::{ContentIndex, Location, Manifest};
use crate::{Delta, StorageError, StoredTree};

/// What a view was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    base: Arc<Manifest>,
    delta: Arc<Delta>,
}

impl Manifest {
    /// The version that `delta` makes of the object `base`. Takes time and memory by the size of the tree. The delta may
    /// come from anywhere: what it says must fit the base and lead to the tree it names.
    pub fn apply(base: &Arc<Self>, delta: Arc<Delta>) -> Result<Self, StorageError> {
        let corrupt = |reason| StorageError::corrupt(format!("delta of manifest {}", base.id), reason);
        if base.origin.is_some() || delta.base() != base.id {
            return Err(corrupt("it belongs to another manifest"));
        }
        if delta.removed().iter().any(|path| base.tree.position(path).is_none()) {
            return Err(corrupt("it removes what is not there"));
        }
        let capacity = base.locations.len() + delta.put().len();
        let (mut entries, mut locations) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        for from in merge(&base.tree, delta.removed(), delta.put()) {
            let (entry, location) = match from {
                Merged::Base(at) => (&base.tree.entries()[at], &base.locations[at]),
                Merged::Put(at) => (&delta.put()[at], &delta.locations()[at]),
            };
            entries.push(entry.clone());
            locations.push(location.clone());
        }
        let tree = Tree::from_sorted(entries).map_err(StorageError::InvalidTree)?;
        if tree.id() != delta.tree_id() {
            return Err(corrupt("its entries do not hash to its tree id"));
        }
        if !delta.counts(&tree) {
            return Err(corrupt("sizes do not add up"));
        }
        Ok(Self {
            id: base.id,
            tree,
            locations,
            blocks: [base.blocks.as_slice(), delta.blocks()].concat(),
            packs: [base.packs.as_slice(), delta.packs()].concat(),
            index: ContentIndex::default(),
            origin: Some(Origin { base: Arc::clone(base), delta }),
        })
    }

    /// What a version's row has to say so that this can be read again.
    pub fn stored(&self) -> StoredTree {
        StoredTree { manifest: self.id, delta: self.delta().map(|delta| delta.encoded().clone()) }
    }

    /// The delta that was applied to the object [`Self::id`], if any was.
    pub fn delta(&self) -> Option<&Arc<Delta>> {
        self.origin.as_ref().map(|origin| &origin.delta)
    }

    /// The object alone, without a delta.
    pub fn base(self: &Arc<Self>) -> &Arc<Self> {
        self.origin.as_ref().map_or(self, |origin| &origin.base)
    }

    /// Where a file with the content `blob` lies, of this version or of its base: so that it is not stored again. The
    /// index is built at the first question and belongs to the base, so that it serves all versions of that.
    pub fn find_blob(&self, blob: &Digest) -> Option<&Location> {
        match &self.origin {
            None => self.index.file(self.tree.entries(), &self.locations, *blob),
            Some(Origin { base, delta }) => delta.find_blob(*blob).or_else(|| base.find_blob(blob)),
        }
    }

    /// Builds the index that [`Self::find_blob`] and [`Self::find_chunk`] would build at the first question.
    pub fn index_contents(&self) {
        let nothing = Digest::from_bytes([0; Digest::LEN]);
        let _built = (self.find_blob(&nothing), self.find_chunk(&nothing));
    }

    /// The block that is the chunk of a big file with this content.
    pub fn find_chunk(&self, chunk: &Digest) -> Option<u32> {
        let at = match &self.origin {
            None => self.index.chunk(&self.blocks, *chunk)?,
            Some(Origin { base, delta }) => match delta.find_chunk(*chunk) {
                Some(at) => base.blocks.len() + at,
                None => return base.find_chunk(chunk),
            },
        };
        u32::try_from(at).ok()
    }

    /// Bytes `range` of a pack that lies in the delta; `None` for one in the bucket.
    pub(crate) fn inline(&self, pack: u32, range: Range<u64>) -> Option<Result<Bytes, StorageError>> {
        let delta = self.delta().filter(|_| self.packs[pack as usize].inline)?;
        let inside = range.start <= range.end && range.end <= delta.inline().len() as u64;
        Some(if inside {
            Ok(delta.inline().slice(range.start as usize..range.end as usize))
        } else {
            Err(StorageError::corrupt(format!("delta of manifest {}", self.id), "it ends before a block does"))
        })
    }
}
