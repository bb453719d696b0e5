//! The id after an edit: only directories on changed paths are hashed again, from the hashes of what they hold.

use std::collections::{BTreeSet, HashMap};

use super::{TreeEdit, is_dir};
use crate::{
    digest::Digest,
    path::RelativePath,
    tree::{EntryKind, directories::DirectoryHasher},
};

/// What a directory holds under a name now: nothing any more, or a kind with the hash of the directory it is.
struct Child<'e> {
    name: &'e [u8],
    now: Option<(&'e EntryKind, Option<Digest>)>,
}

impl TreeEdit<'_> {
    pub(super) fn hash(&self) -> Digest {
        let touched = self.touched();
        // By directory, last name first.
        let mut changed: HashMap<&[u8], Vec<Child<'_>>> = HashMap::new();
        // Backwards, so that a directory comes after all that it holds.
        for path in touched.iter().rev() {
            let below = changed.remove(path.as_bytes()).unwrap_or_default();
            let now = self.kind(path).map(|kind| (kind, is_dir(kind).then(|| self.directory(Some(path), below))));
            let holder = path.parent_bytes().unwrap_or_default();
            changed.entry(holder).or_default().push(Child { name: path.file_name(), now });
        }
        self.directory(None, changed.remove(&[][..]).unwrap_or_default())
    }

    /// Changed paths and the directories above them.
    fn touched(&self) -> BTreeSet<RelativePath> {
        let mut touched = BTreeSet::new();
        for path in self.put.keys().chain(&self.removed) {
            let mut next = Some(path.clone());
            while let Some(path) = next.filter(|path| !touched.contains(path)) {
                next = path.parent();
                touched.insert(path);
            }
        }
        touched
    }

    /// The hash of the directory at `path`, or of the top, in which the children `changed` (last name first) differ.
    fn directory(&self, path: Option<&RelativePath>, changed: Vec<Child<'_>>) -> Digest {
        let mut hasher = DirectoryHasher::new();
        let mut changed = changed.into_iter().rev().peekable();
        let mut add = |child: Child<'_>| {
            if let Some((kind, hash)) = child.now {
                hasher.add(child.name, kind, hash);
            }
        };
        let kept = match path {
            None => Some(None),
            Some(path) => self.visible(path).map(Some),
        };
        for at in kept.into_iter().flat_map(|directory| self.base.children(directory)) {
            let entry = &self.base.entries()[at];
            let name = entry.path.file_name();
            while let Some(child) = changed.next_if(|child| child.name < name) {
                add(child);
            }
            let same = Child { name, now: Some((&entry.kind, self.base.directories.hash(at))) };
            add(changed.next_if(|child| child.name == name).unwrap_or(same));
        }
        changed.for_each(&mut add);
        hasher.finish()
    }
}
