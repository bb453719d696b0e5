//! What the folder had before something that is at work in it, with what came down since: that is not its doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::folder::Snapshot;
use crate::archive::Known;

/// The folder as it would be if nobody in it had changed anything.
#[derive(Debug)]
pub(crate) struct Before(Arc<Mutex<Snapshot>>);

impl Before {
    /// As it is now.
    pub(super) fn snapshot(&self) -> Snapshot {
        locked(&self.0).clone()
    }
}

/// All that are held.
#[derive(Debug, Default)]
pub(super) struct Befores(Mutex<Vec<Weak<Mutex<Snapshot>>>>);

impl Befores {
    pub(super) fn begin(&self, snapshot: Snapshot) -> Before {
        let new = Arc::new(Mutex::new(snapshot));
        let mut all = locked(&self.0);
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(&new));
        Before(new)
    }

    /// This came down, or went.
    pub(super) fn came(&self, path: &str, known: Option<&Known>) {
        for held in locked(&self.0).iter().filter_map(Weak::upgrade) {
            let mut held = locked(&held);
            match known.filter(|known| **known != Known::Dir) {
                Some(known) => drop(held.insert(path.to_owned(), known.clone())),
                None => drop(held.remove(path)),
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
