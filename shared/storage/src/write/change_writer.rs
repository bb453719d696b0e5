//! `ChangeWriter`: takes what differs from the base version, one path after the other, and stores the contents.
//!
//! Synchronous: it lives on the blocking thread of [`write_changes`](super::write_changes). Each change is applied to
//! what those before it left, so their order matters where they meet. Protocol files are accepted and left out.

use std::{collections::HashMap, sync::Arc};

use drydock_domain::{
    Changes, EntryKind, LinkTarget, Mode, RelativePath, TenantId, Tree, TreeEdit,
    tree::{Edited, TreeError},
};
use tokio::sync::mpsc;

use super::{
    ChangeOptions, Source,
    blobs::BlobWriter,
    consolidate::SmallPacks,
    content::Contents,
    draft::{Draft, Form},
};
use crate::{Limits, Manifest, Storage, StorageError, manifest::Location, pack::SealedPack};

/// Changes being written.
pub struct ChangeWriter {
    base: Arc<Manifest>,
    limits: Limits,
    inline_max: usize,
    steps: Vec<Step>,
    /// Where the content put last at a path lies.
    placed: HashMap<RelativePath, Location>,
    contents: Contents,
    tenant: TenantId,
    storage: Storage,
}

enum Step {
    Put(RelativePath, EntryKind),
    /// A directory that must be there.
    Imply(RelativePath, Mode),
    Remove(RelativePath),
}

/// What the blocking side hands over at the end.
pub(super) struct FinishedChanges {
    pub(super) changes: Changes,
    pub(super) form: Form,
}

impl ChangeWriter {
    pub(super) fn new(
        options: ChangeOptions,
        storage: Storage,
        sealed: mpsc::Sender<SealedPack>,
    ) -> Result<Self, StorageError> {
        let blobs = BlobWriter::new(Some(Arc::clone(&options.base)), options.temp_dir, sealed)?;
        Ok(Self {
            contents: Contents::new(blobs, options.limits),
            base: options.base,
            limits: options.limits,
            inline_max: options.inline_max,
            steps: Vec::new(),
            placed: HashMap::new(),
            tenant: options.tenant,
            storage,
        })
    }

    /// Puts a directory, or gives the one that is there this mode; what it holds stays. Its parent must be there in the
    /// end, or be put.
    pub fn put_dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        self.put(path, EntryKind::Dir { mode }, Location::None)
    }

    /// Puts a symlink in place of what is there.
    pub fn put_symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.put(path, EntryKind::Symlink { target }, Location::None)
    }

    /// Puts a file in place of what is there, reading its content once; again, up to three times in all, when it changed
    /// meanwhile.
    pub fn put_file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        if path.is_protocol_file() {
            return Ok(());
        }
        let blob = self.contents.store(&path, source)?;
        self.contents.count(blob.size)?;
        self.put(path, EntryKind::File { size: blob.size, mode, blob: blob.digest }, blob.location)
    }

    /// Puts a directory where none is, and leaves the one that is there as it is.
    pub fn imply_dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        self.placed.entry(path.clone()).or_insert(Location::None);
        self.limits.check_entries(self.placed.len() as u64)?;
        self.steps.push(Step::Imply(path, mode));
        Ok(())
    }

    /// Puts what the step with the number `of` (see [`Self::len`]) put, in place of what is at `path`: as for a hard link.
    pub fn put_copy(&mut self, path: RelativePath, of: usize) -> Result<(), StorageError> {
        let Some(Step::Put(origin, kind)) = self.steps.get(of) else { return Ok(()) };
        let (kind, location) = (kind.clone(), self.placed.get(origin).cloned().unwrap_or(Location::None));
        if let EntryKind::File { size, .. } = kind {
            self.contents.count(size)?;
        }
        self.put(path, kind, location)
    }

    /// Steps so far: the number the next one gets.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no change yet.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Removes what is at `path` with all below it, if there is anything.
    pub fn remove(&mut self, path: RelativePath) {
        self.steps.push(Step::Remove(path));
    }

    fn put(&mut self, path: RelativePath, kind: EntryKind, location: Location) -> Result<(), StorageError> {
        self.placed.insert(path.clone(), location);
        self.limits.check_entries(self.placed.len() as u64)?;
        self.steps.push(Step::Put(path, kind));
        Ok(())
    }

    /// Checks the tree and decides the form in which it is stored. `None` when it is the base's tree.
    pub(super) fn finish(self) -> Result<Option<FinishedChanges>, StorageError> {
        let edited = self.edit(TreeEdit::new(self.base.tree())).map_err(StorageError::InvalidTree)?;
        if edited.id() == self.base.tree_id() {
            self.contents.blobs.discard();
            return Ok(None);
        }
        self.limits.check_entries(edited.entry_count())?;
        self.limits.check_bytes(edited.total_bytes())?;
        let changes = Changes::of(&edited);
        let root = Arc::clone(self.base.base());
        let whole = self.whole(edited, root.tree()).map_err(StorageError::InvalidTree)?;
        let located = whole.put().iter().map(|entry| {
            let placed = self.placed.get(&entry.path).or_else(|| self.base.find(&entry.path).map(|(_, place)| place));
            placed.expect("an entry was put now or is the base version's").clone()
        });
        let locations = located.collect();
        let draft = Draft::new(Arc::clone(&self.base), whole, locations);
        // Only now is it known that there is something to store.
        let form = match SmallPacks::fetch(&self.storage, self.tenant, &self.base) {
            Some(small) => draft.consolidate(self.contents.blobs, &small)?,
            None => draft.store(self.contents.blobs, self.inline_max)?,
        };
        Ok(Some(FinishedChanges { changes, form }))
    }

    fn edit<'t>(&self, mut edit: TreeEdit<'t>) -> Result<Edited<'t>, TreeError> {
        for step in &self.steps {
            match step {
                Step::Put(path, kind) => edit.put(path.clone(), kind.clone()),
                Step::Imply(path, _) if edit.is_dir(path) => {}
                Step::Imply(path, mode) => edit.put(path.clone(), EntryKind::Dir { mode: *mode }),
                Step::Remove(path) => edit.remove(path),
            }
        }
        edit.finish()
    }

    /// The same tree as the difference from the base's manifest object, not from the base version: old delta and changes.
    fn whole<'t>(&self, edited: Edited<'t>, root: &'t Tree) -> Result<Edited<'t>, TreeError> {
        let Some(delta) = self.base.delta() else {
            return Ok(edited);
        };
        let mut edit = TreeEdit::new(root);
        delta.removed().iter().for_each(|path| edit.remove(path));
        delta.put().iter().for_each(|entry| edit.put(entry.path.clone(), entry.kind.clone()));
        self.edit(edit)
    }
}
